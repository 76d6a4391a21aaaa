package dev.graft.tensor;

import dev.graft.tensor.backend.Backend;
import dev.graft.tensor.backend.KernelTable;
import dev.graft.tensor.backend.KernelTable.Layout;
import dev.graft.tensor.backend.View;
import dev.graft.tensor.op.Composite;
import dev.graft.tensor.op.Op;
import dev.graft.tensor.op.Primitive;
import dev.graft.tensor.op.ViewOp;
import java.util.ArrayList;
import java.util.List;

/// Runs ops: infers, computes, records. Call it through [Op#apply].
public final class Engine {
    private Engine() {
    }

    /// All outputs of an op, the result first.
    public static List<Tensor> apply(Op op, List<Tensor> in) {
        Scope scope = Scope.current(op.label());
        for (Tensor t : in) t.requireOpen(op.label());
        Backend backend = backend(op, in, scope);
        List<Spec> specs = infer(op, in);
        List<Tensor> out = switch (op) {
            case ViewOp v -> List.of(Tensor.alias(v.view(in.getFirst().view()), backend, op.label()));
            case Primitive p -> List.of(run(p, in, specs.getFirst(), backend));
            case Composite c -> run(c, in, specs, backend);
        };
        if (scope.tape() != null) scope.tape().record(op, in, out);
        return out;
    }

    /// Runs a primitive into a tensor that is there already, which may be one of the inputs. Nothing is recorded.
    public static void update(Primitive op, Tensor out, Tensor... in) {
        requireWritable(op, out);
        List<Tensor> inputs = List.of(in);
        Spec spec = infer(op, inputs).getFirst();
        if (!spec.equals(out.spec())) throw new ShapeException(message(op, "writes " + spec + ", the target is " + out.spec(), inputs));
        out.backend().run(op, inputs.stream().map(Tensor::view).toList(), out.view());
        out.view().storage().written();
    }

    /// Runs a composite into tensors that are there already, each of which may be the input at the same position. Nothing is recorded.
    public static void update(Composite op, List<Tensor> in, List<Tensor> out) {
        out.forEach(t -> requireWritable(op, t));
        Backend backend = out.getFirst().backend();
        KernelTable.Entry<Composite> entry = backend.kernel(op, specs(in));
        if (entry != null) {
            entry.kernel().run(op, in.stream().map(Tensor::view).toList(), out.stream().map(Tensor::view).toList());
        } else {
            try (var _ = Scope.untracked()) {
                List<Tensor> results = op.defineAll(in);
                for (int i = 0; i < out.size(); i++) update(new dev.graft.tensor.op.Copy(), out.get(i), results.get(i));
            }
        }
        out.forEach(t -> t.view().storage().written());
    }

    private static Tensor run(Primitive op, List<Tensor> in, Spec spec, Backend backend) {
        Tensor out = Tensor.allocate(spec, backend, op.label());
        backend.run(op, in.stream().map(Tensor::view).toList(), out.view());
        return out;
    }

    private static List<Tensor> run(Composite op, List<Tensor> in, List<Spec> specs, Backend backend) {
        KernelTable.Entry<Composite> entry = backend.kernel(op, specs(in));
        if (entry == null) return define(op, in);
        List<Tensor> out = specs.stream().map(s -> Tensor.allocate(s, backend, op.label())).toList();
        try (var _ = Scope.untracked()) {
            List<View> views = new ArrayList<>();
            for (Tensor t : in) views.add((entry.layout() == Layout.STRIDED ? t : t.contiguous()).view());
            entry.kernel().run(op, views, out.stream().map(Tensor::view).toList());
        }
        return out;
    }

    /// By the definition, whose own calls are not recorded.
    private static List<Tensor> define(Composite op, List<Tensor> in) {
        Scope outer = Scope.current(op.label());
        try (Scope inner = Scope.untracked()) {
            List<Tensor> plain = in.stream().map(Tensor::detach).toList();
            List<Tensor> out = new ArrayList<>();
            for (Tensor t : op.defineAll(plain)) out.add(outer.keep(t.owner() == inner && t.node() == null ? t : t.detach()));
            return out;
        }
    }

    private static Backend backend(Op op, List<Tensor> in, Scope scope) {
        Backend backend = in.isEmpty() ? scope.backend() : in.getFirst().backend();
        for (Tensor t : in) {
            if (t.backend() != backend) {
                throw new ShapeException(message(op, "inputs are on different backends: " + backend.name() + " and " + t.backend().name()
                        + "; move one with to(backend)", in));
            }
        }
        return backend;
    }

    private static List<Spec> infer(Op op, List<Tensor> in) {
        try {
            return op.infer(specs(in));
        } catch (ShapeException e) {
            throw new ShapeException(message(op, e.getMessage(), in));
        }
    }

    private static void requireWritable(Op op, Tensor out) {
        out.requireOpen(op.label());
        if (out.view().storage().isReadOnly())
            throw new TensorException("[" + op.label() + "] writes into " + out.spec() + " of a read-only file; copy() it first");
        if (out.node() instanceof Call)
            throw new TensorException("[" + op.label() + "] writes in place into a tensor whose history is recorded");
    }

    private static List<Spec> specs(List<Tensor> in) {
        return in.stream().map(Tensor::spec).toList();
    }

    private static String message(Op op, String what, List<Tensor> in) {
        StringBuilder inputs = new StringBuilder();
        for (Tensor t : in) inputs.append(inputs.isEmpty() ? "" : ", ").append(t.spec());
        return "[%s] %s (inputs: %s)".formatted(op.label(), what, inputs);
    }
}
