package dev.graft.peft;

import dev.graft.models.Pass;
import dev.graft.nn.LayerHook;
import dev.graft.nn.Parameter;
import dev.graft.tensor.Scope;
import dev.graft.tensor.Tensor;
import dev.graft.tensor.op.AddMm;
import dev.graft.tensor.op.Dropout;
import java.util.function.BinaryOperator;
import java.util.function.Supplier;
import java.util.function.UnaryOperator;

/// One of the things that an adapter does at a layer. All but [Around] leave the layer itself to be computed once for a whole batch, whatever the adapters of its rows.
///
/// ```
/// y = after(x, layer(before(x)))
/// ```
sealed interface Part {
    default Tensor before(Tensor x) {
        return x;
    }

    default Tensor after(Tensor x, Tensor y) {
        return y;
    }

    /// Whether [#before] changes anything.
    default boolean changesInput() {
        return false;
    }

    /// This at a weight, which is 1 unless it is [Adding].
    default LayerHook hook(double weight) {
        return (x, next) -> Scope.result(() -> {
            Tensor in = before(x);
            return after(in, next.apply(in));
        });
    }

    /// One that adds to what the layer gives, at a weight.
    sealed interface Adding extends Part {
        Tensor plus(Tensor x, Tensor y, double weight);

        @Override
        default Tensor after(Tensor x, Tensor y) {
            return plus(x, y, 1);
        }

        @Override
        default LayerHook hook(double weight) {
            return (x, next) -> Scope.result(() -> plus(x, next.apply(x), weight));
        }
    }

    /// `y = layer(x) + delta(x)`.
    record Added(UnaryOperator<Tensor> delta) implements Adding {
        @Override
        public Tensor plus(Tensor x, Tensor y, double weight) {
            Tensor d = delta.apply(x);
            return y.add(weight == 1 ? d : d.mul(weight));
        }
    }

    /// `y = layer(x) + s · inner(x) Bᵀ`, inner(x): `[.., m]`, B: `[out, m]`.
    record Through(UnaryOperator<Tensor> inner, Parameter b, double s) implements Adding {
        @Override
        public Tensor plus(Tensor x, Tensor y, double weight) {
            return new AddMm(s * weight).apply(y, inner.apply(x), b.value());
        }
    }

    /// `y = layer(x) + s · B A drop(x)`, A: `[r, in]`, B: `[out, r]`.
    record LowRank(Parameter a, Parameter b, double s, double dropout) implements Adding {
        @Override
        public Tensor plus(Tensor x, Tensor y, double weight) {
            return new AddMm(s * weight).apply(y, Dropout.of(x, dropout).matmulT(a.value()), b.value());
        }
    }

    /// `y = layer(change(x))`.
    record Before(UnaryOperator<Tensor> change) implements Part {
        @Override
        public Tensor before(Tensor x) {
            return change.apply(x);
        }

        @Override
        public boolean changesInput() {
            return true;
        }
    }

    /// `y = change(x, layer(x))`.
    record After(BinaryOperator<Tensor> change) implements Part {
        @Override
        public Tensor after(Tensor x, Tensor y) {
            return change.apply(x, y);
        }
    }

    /// `y = layer(x) ⊙ l`, l: `[out]`, or `[B, 1, out]` where rows differ.
    record Scaled(Supplier<Tensor> l) implements Part {
        @Override
        public Tensor after(Tensor x, Tensor y) {
            return y.mul(l.get());
        }
    }

    /// `y = layer(x ⊙ l)`, l: `[in]` or `[B, 1, in]`.
    record ScaledInput(Supplier<Tensor> l) implements Part {
        @Override
        public Tensor before(Tensor x) {
            return x.mul(l.get());
        }

        @Override
        public boolean changesInput() {
            return true;
        }
    }

    /// Makes something of the prompts when they are read, for others inside the layer; see [Pass#ofPrompts].
    record OfPrompts(UnaryOperator<Tensor> made) implements Part, Supplier<Tensor> {
        @Override
        public Tensor before(Tensor x) {
            Pass pass = Pass.current();
            if (pass.readsPrompts()) pass.ofPrompts(this, () -> made.apply(x));
            return x;
        }

        @Override
        public Tensor get() {
            return Pass.current().ofPrompts(this);
        }
    }

    /// `y = hook(x, layer)`.
    record Around(LayerHook surrounding) implements Part {
        @Override
        public LayerHook hook(double weight) {
            return surrounding;
        }
    }
}
