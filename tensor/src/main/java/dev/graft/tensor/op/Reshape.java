package dev.graft.tensor.op;

import dev.graft.tensor.Call;
import dev.graft.tensor.Gradients;
import dev.graft.tensor.Shape;
import dev.graft.tensor.ShapeException;
import dev.graft.tensor.Spec;
import dev.graft.tensor.Tensor;
import dev.graft.tensor.backend.View;

/// The same elements, in the same row-major order, under another shape.
public record Reshape(Shape to) implements ViewOp {

    /// Copies first when the elements do not lie row-major. One size may be -1 and is worked out.
    public static Tensor of(Tensor x, int... dims) {
        return new Reshape(resolve(x.shape(), dims)).apply(x.contiguous());
    }

    private static Shape resolve(Shape from, int... dims) {
        int[] d = dims.clone();
        int open = -1;
        long known = 1;
        for (int i = 0; i < d.length; i++) {
            if (d[i] != -1) known *= d[i];
            else if (open >= 0) throw new ShapeException("[reshape] only one size may be -1");
            else open = i;
        }
        if (open >= 0 && known > 0) d[open] = Math.toIntExact(from.size() / known);
        else if (open >= 0) d[open] = 0;
        return Shape.of(d);
    }

    @Override
    public Spec infer(Spec in) {
        if (in.shape().size() != to.size()) throw new ShapeException("cannot see " + in.shape().size() + " elements as " + to);
        return in.with(to);
    }

    @Override
    public View view(View in) {
        return in.reshape(to);
    }

    @Override
    public void vjp(Call c, Tensor dy, Gradients g) {
        g.of(0, () -> dy.reshape(c.inSpec(0).shape()));
    }
}
