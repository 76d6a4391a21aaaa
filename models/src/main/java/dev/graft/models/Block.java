package dev.graft.models;

import dev.graft.nn.Module;
import dev.graft.tensor.Tensor;

/// One layer of a decoder: attention and MLP with their norms and residual sums.
public abstract class Block extends Module {
    /// `[B, T, C] → [B, T, C]`
    protected abstract Tensor forward(Tensor x, Pass pass);
}
