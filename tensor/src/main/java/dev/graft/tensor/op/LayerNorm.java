package dev.graft.tensor.op;

import dev.graft.tensor.Call;
import dev.graft.tensor.Gradients;
import dev.graft.tensor.Keep;
import dev.graft.tensor.Spec;
import dev.graft.tensor.Tensor;
import dev.graft.tensor.Wanted;
import java.util.List;

/// Layer normalisation (Ba et al. 2016, arXiv:1607.06450).
///
/// ```
/// y = w ⊙ (x − μ) · r + b        μ = mean x,  r = 1/√(mean((x − μ)²) + eps)
/// ```
/// x: `[…, C]`, w, b: `[C]`. Further outputs for the gradient: `μ` and `r`, `[…, 1]`.
public record LayerNorm(double eps) implements Composite {
    public static Tensor of(Tensor x, Tensor weight, Tensor bias, double eps) {
        return new LayerNorm(eps).apply(x, weight, bias);
    }

    @Override
    public List<Spec> infer(List<Spec> in) {
        Spec x = in.get(0);
        RmsNorm.requireWeight(x, in.get(1));
        RmsNorm.requireWeight(x, in.get(2));
        Spec row = x.with(x.shape().with(-1, 1));
        return List.of(x, row, row);
    }

    @Override
    public Tensor define(List<Tensor> in) {
        return defineAll(in).getFirst();
    }

    @Override
    public List<Tensor> defineAll(List<Tensor> in) {
        Tensor x = in.get(0);
        Tensor mean = x.mean(-1);
        Tensor centred = x.sub(mean);
        Tensor r = centred.square().mean(-1).add(eps).rsqrt();
        return List.of(centred.mul(r).mul(in.get(1)).add(in.get(2)), mean, r);
    }

    @Override
    public Keep keep(Wanted wanted) {
        return Keep.inputs(0, 1).and(Keep.outputs(1, 2));
    }

    @Override
    public void vjp(Call c, Tensor dy, Gradients g) {
        g.of(0, () -> new LayerNormGrad().apply(c.in(0), c.in(1), c.out(1), c.out(2), dy));
        g.of(1, () -> Reduce.toShape(dy.mul(c.in(0).sub(c.out(1)).mul(c.out(2))), c.inSpec(1).shape()));
        g.of(2, () -> Reduce.toShape(dy, c.inSpec(2).shape()));
    }
}
