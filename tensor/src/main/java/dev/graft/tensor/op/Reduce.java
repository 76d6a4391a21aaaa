package dev.graft.tensor.op;

import dev.graft.tensor.Call;
import dev.graft.tensor.DType;
import dev.graft.tensor.Gradients;
import dev.graft.tensor.Keep;
import dev.graft.tensor.Shape;
import dev.graft.tensor.ShapeException;
import dev.graft.tensor.Spec;
import dev.graft.tensor.Tensor;
import dev.graft.tensor.Wanted;
import java.util.List;

/// One axis folded to size 1.
///
/// ```
/// sum: y = Σ x, dx = dy        max: y = max x, dx = dy where x = y, shared among ties        argmax: I32 position of the first maximum
/// ```
/// x: `[…, N, …]`, y: `[…, 1, …]`.
public record Reduce(Law law, int axis) implements Primitive {
    public enum Law {
        SUM, MAX, ARGMAX
    }

    /// Folds several axes, which stay as size 1; all of them, to a scalar, when none is named.
    public static Tensor over(Law law, Tensor x, int... axes) {
        if (axes.length == 0) return new Reduce(law, 0).apply(x.reshape(Math.toIntExact(x.shape().size()))).reshape();
        for (int axis : axes) x = new Reduce(law, x.shape().axis(axis)).apply(x);
        return x;
    }

    /// Sums a gradient over the axes along which its operand was stretched to reach it.
    public static Tensor toShape(Tensor gradient, Shape shape) {
        if (gradient.shape().equals(shape)) return gradient;
        int extra = gradient.rank() - shape.rank();
        for (int i = 0; i < gradient.rank(); i++) {
            boolean stretched = i < extra || shape.dim(i - extra) == 1 && gradient.dim(i) != 1;
            if (stretched) gradient = gradient.sum(i);
        }
        return gradient.reshape(shape);
    }

    @Override
    public List<Spec> infer(List<Spec> in) {
        Spec x = in.getFirst();
        if (law != Law.SUM && x.shape().dim(axis) == 0) throw new ShapeException(law + " of an empty axis");
        return List.of(new Spec(x.shape().with(axis, 1), law == Law.ARGMAX ? DType.I32 : x.dtype()));
    }

    @Override
    public Keep keep(Wanted wanted) {
        return law == Law.MAX ? Keep.ALL : Keep.NOTHING;
    }

    @Override
    public void vjp(Call c, Tensor dy, Gradients g) {
        switch (law) {
            case SUM -> g.of(0, () -> dy.expand(c.inSpec(0).shape()));
            case MAX -> g.of(0, () -> {
                Tensor hit = c.in(0).eq(c.out(0));
                return hit.mul(dy).div(hit.sum(axis));
            });
            case ARGMAX -> g.none(0);
        }
    }
}
