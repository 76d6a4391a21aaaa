package dev.graft.tensor.op;

import dev.graft.tensor.Call;
import dev.graft.tensor.Gradients;
import dev.graft.tensor.Grads;
import dev.graft.tensor.Keep;
import dev.graft.tensor.Scope;
import dev.graft.tensor.Tape;
import dev.graft.tensor.Tensor;
import dev.graft.tensor.Wanted;
import java.util.List;
import java.util.function.UnaryOperator;

/// Activation checkpointing (Chen et al. 2016, arXiv:1604.06174): a part of a model whose intermediate results are not held for the backward pass but
/// computed again in it. Costs a second forward pass of the part, saves its activations.
///
/// The body may use trainable parameters of its own (adapters): their gradients arrive as without checkpointing, and dropout draws the same elements
/// the second time.
public final class Checkpoint implements Composite {
    private final UnaryOperator<Tensor> body;
    private final Tape.Mark mark;

    private Checkpoint(UnaryOperator<Tensor> body, Tape.Mark mark) {
        this.body = body;
        this.mark = mark;
    }

    /// Runs the body, which must depend on recorded tensors only through its argument.
    public static Tensor of(UnaryOperator<Tensor> body, Tensor x) {
        Tape tape = Tape.recording();
        if (tape == null) return body.apply(x);
        Tape.Mark mark = tape.mark();
        Scope outer = Scope.enclosing();
        Tensor y;
        boolean depends;
        try (Tape probe = Tape.probe(mark)) {
            Tensor result = body.apply(tape.tracks(x) ? probe.watch(x) : x);
            depends = probe.tracks(result);
            y = outer.keep(result.detach());
            tape.resume(probe.mark());
        }
        if (depends) tape.recordAlways(new Checkpoint(body, mark), List.of(x), List.of(y));
        return y;
    }

    @Override
    public Tensor define(List<Tensor> in) {
        return body.apply(in.getFirst());
    }

    @Override
    public Keep keep(Wanted wanted) {
        return Keep.inputs(0);
    }

    @Override
    public void vjp(Call c, Tensor dy, Gradients g) {
        try (Tape again = Tape.replay(mark); Grads grads = Grads.open()) {
            Tensor x = c.wants(0) ? again.watch(c.in(0)) : c.in(0);
            again.backward(body.apply(x), dy, grads);
            g.leaves(grads);
            Tensor dx = grads.find(x);
            if (dx == null) g.none(0);
            else g.of(0, () -> dx);
        }
    }
}
