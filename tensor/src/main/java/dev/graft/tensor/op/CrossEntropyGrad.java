package dev.graft.tensor.op;

import dev.graft.tensor.Tensor;
import java.util.List;

/// The gradient of [CrossEntropy] with respect to the logits.
///
/// ```
/// dlogits[n, v] = (e^(logits[n, v] − lse[n]) − [v = target[n]]) · dy[n]        0 where target[n] = ignore_index
/// ```
/// logits: `[N, V]`, target: `[N]`, lse and dy: `[N]`.
public record CrossEntropyGrad(int ignoreIndex) implements Composite {
    @Override
    public Tensor define(List<Tensor> in) {
        CrossEntropy forward = new CrossEntropy(ignoreIndex);
        Tensor logits = in.get(0);
        int rows = logits.dim(0);
        Tensor p = logits.sub(in.get(2).reshape(rows, 1)).exp();
        Tensor scale = in.get(3).reshape(rows, 1).mul(forward.counts(in.get(1), logits.dtype()));
        return p.sub(forward.oneHot(in.get(1), logits)).mul(scale);
    }
}
