package dev.graft.tensor.op;

import dev.graft.tensor.Call;
import dev.graft.tensor.Gradients;
import dev.graft.tensor.Keep;
import dev.graft.tensor.Shape;
import dev.graft.tensor.ShapeException;
import dev.graft.tensor.Spec;
import dev.graft.tensor.Tensor;
import dev.graft.tensor.Wanted;
import java.util.List;

/// Root-mean-square normalisation (Zhang & Sennrich 2019, arXiv:1910.07467).
///
/// ```
/// y = w ⊙ x · r        r = 1/√(mean(x²) + eps)
/// ```
/// x: `[…, C]`, w: `[C]`. The second output is `r`, `[…, 1]`, for the gradient.
public record RmsNorm(double eps) implements Composite {
    public static Tensor of(Tensor x, Tensor weight, double eps) {
        return new RmsNorm(eps).apply(x, weight);
    }

    @Override
    public List<Spec> infer(List<Spec> in) {
        Spec x = in.get(0);
        requireWeight(x, in.get(1));
        return List.of(x, x.with(x.shape().with(-1, 1)));
    }

    @Override
    public Tensor define(List<Tensor> in) {
        return defineAll(in).getFirst();
    }

    @Override
    public List<Tensor> defineAll(List<Tensor> in) {
        Tensor x = in.get(0);
        Tensor r = x.square().mean(-1).add(eps).rsqrt();
        return List.of(x.mul(r).mul(in.get(1)), r);
    }

    @Override
    public Keep keep(Wanted wanted) {
        return Keep.inputs(0, 1).and(Keep.outputs(1));
    }

    @Override
    public void vjp(Call c, Tensor dy, Gradients g) {
        g.of(0, () -> new RmsNormGrad().apply(c.in(0), c.in(1), c.out(1), dy));
        g.of(1, () -> Reduce.toShape(dy.mul(c.in(0)).mul(c.out(1)), c.inSpec(1).shape()));
    }

    static void requireWeight(Spec x, Spec weight) {
        if (x.shape().rank() < 1 || !weight.shape().equals(Shape.of(x.shape().dim(-1)))) {
            throw new ShapeException("the weight must be [" + x.shape().dim(-1) + "] to match the last axis, got " + weight.shape());
        }
    }
}
