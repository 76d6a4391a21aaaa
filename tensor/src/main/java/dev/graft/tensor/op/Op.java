package dev.graft.tensor.op;

import dev.graft.tensor.Call;
import dev.graft.tensor.Engine;
import dev.graft.tensor.Gradients;
import dev.graft.tensor.Keep;
import dev.graft.tensor.Spec;
import dev.graft.tensor.Tensor;
import dev.graft.tensor.Wanted;
import java.util.List;

/// An operation as data: a record that holds its attributes, says what it computes, and how its gradient reads.
///
/// - [Primitive]: the closed core that every backend implements.
/// - [ViewOp]: another look at the same memory; no backend is involved.
/// - [Composite]: everything else, defined by other ops. Anyone may add one.
public sealed interface Op permits Primitive, ViewOp, Composite {

    /// What messages call it: `RmsNorm` is `rms_norm`, `Unary.EXP` is `exp`.
    default String label() {
        return this instanceof Enum<?> ? toString() : OpName.OF.get(getClass());
    }

    /// What comes out for what goes in: the result first, then what only the gradient reads (row statistics, say). Throws
    /// [dev.graft.tensor.ShapeException] with the violated requirement; the engine adds the op's name and all inputs.
    List<Spec> infer(List<Spec> in);

    /// The gradient: for each input that is wanted, `g.of(i, () -> …)`, from `dy`, the gradient of the result. Inputs without a gradient (indices) are
    /// named by `g.none(i)`: a wanted input that is answered by neither is an error.
    void vjp(Call call, Tensor dy, Gradients g);

    /// What [#vjp] reads, given which inputs want a gradient. Nothing else is held until the backward pass.
    default Keep keep(Wanted wanted) {
        return Keep.ALL;
    }

    /// Runs the op and returns its result.
    default Tensor apply(Tensor... in) {
        return Engine.apply(this, List.of(in)).getFirst();
    }

    /// Runs the op and returns all outputs, the result first.
    default List<Tensor> applyAll(Tensor... in) {
        return Engine.apply(this, List.of(in));
    }
}
