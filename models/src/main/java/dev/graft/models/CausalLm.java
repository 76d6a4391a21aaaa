package dev.graft.models;

import dev.graft.nn.Layer;
import dev.graft.nn.Module;
import dev.graft.tensor.Tensor;

/// A decoder-only language model. Its parts are named as in its checkpoint, so that paths, checkpoint keys and adapter targets are one.
public abstract class CausalLm extends Module {
    public abstract ModelConfig config();

    /// Hidden states after the final norm, `[B, T, C]`.
    ///
    /// @param cache keys and values of earlier tokens, which this call extends; null when there are none
    public abstract Tensor hidden(Inputs in, KvCache cache);

    /// The output layer, `[…, C] → […, V]`.
    public abstract Layer head();

    /// Logits of every position, `[B, T, V]`.
    public final Tensor logits(Inputs in) {
        return head().forward(hidden(in, null));
    }
}
