package dev.graft.tensor.op;

import dev.graft.tensor.Tensor;
import java.util.List;

/// The gradient of [LayerNorm] with respect to `x`.
///
/// ```
/// dx = r · (h − mean h − n · mean(h ⊙ n))        h = w ⊙ dy,  n = (x − μ) · r
/// ```
/// x, dy: `[…, C]`, w: `[C]`, μ, r: `[…, 1]`.
public record LayerNormGrad() implements Composite {
    @Override
    public Tensor define(List<Tensor> in) {
        Tensor r = in.get(3);
        Tensor n = in.get(0).sub(in.get(2)).mul(r);
        Tensor h = in.get(4).mul(in.get(1));
        return h.sub(h.mean(-1)).sub(n.mul(h.mul(n).mean(-1))).mul(r);
    }
}
