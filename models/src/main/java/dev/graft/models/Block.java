package dev.graft.models;

import dev.graft.nn.Layer;
import dev.graft.tensor.Tensor;

/// One layer of a decoder: attention and MLP with their norms and residual sums, `[B, T, C] → [B, T, C]`.
public abstract class Block extends Layer {
    /// The block inside its hooks.
    final Tensor forward(Tensor x, Pass pass) {
        return ScopedValue.where(Pass.CURRENT, pass).call(() -> forward(x, h -> compute(h, pass)));
    }

    protected abstract Tensor compute(Tensor x, Pass pass);

    @Override
    protected final Tensor compute(Tensor x) {
        return compute(x, Pass.over(x));
    }
}
