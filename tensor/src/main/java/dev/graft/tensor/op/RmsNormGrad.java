package dev.graft.tensor.op;

import dev.graft.tensor.Tensor;
import java.util.List;

/// The gradient of [RmsNorm] with respect to `x`.
///
/// ```
/// dx = r · (w ⊙ dy) − x · r³ · mean(x ⊙ w ⊙ dy)
/// ```
/// x, dy: `[…, C]`, w: `[C]`, r: `[…, 1]`.
public record RmsNormGrad() implements Composite {
    @Override
    public Tensor define(List<Tensor> in) {
        Tensor x = in.get(0);
        Tensor r = in.get(2);
        Tensor wdy = in.get(3).mul(in.get(1));
        return wdy.mul(r).sub(x.mul(r.mul(r).mul(r)).mul(x.mul(wdy).mean(-1)));
    }
}
