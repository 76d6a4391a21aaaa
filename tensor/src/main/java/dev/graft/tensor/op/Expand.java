package dev.graft.tensor.op;

import dev.graft.tensor.Call;
import dev.graft.tensor.Gradients;
import dev.graft.tensor.Shape;
import dev.graft.tensor.ShapeException;
import dev.graft.tensor.Spec;
import dev.graft.tensor.Tensor;
import dev.graft.tensor.backend.View;

/// Stretched to a larger shape: axes of size 1, and missing leading ones, repeat. The gradient sums over them.
public record Expand(Shape to) implements ViewOp {
    @Override
    public Spec infer(Spec in) {
        if (!in.shape().broadcast(to).equals(to)) throw new ShapeException("cannot stretch " + in.shape() + " to " + to);
        return in.with(to);
    }

    @Override
    public View view(View in) {
        return in.expand(to);
    }

    @Override
    public void vjp(Call c, Tensor dy, Gradients g) {
        g.of(0, () -> Reduce.toShape(dy, c.inSpec(0).shape()));
    }
}
