package dev.graft.peft;

import dev.graft.tensor.Tensor;

/// What a linear layer or an embedding is made of, while adapters are folded into it.
///
/// @param weight `[out, in]`, or `[V, C]` of an embedding; F32 or F64
/// @param bias `[out]`, or null where the layer has none
public record Plain(Tensor weight, Tensor bias) {

    public Plain plus(Tensor delta) {
        return new Plain(weight.add(delta), bias);
    }

    public Plain plusBias(Tensor delta) {
        return new Plain(weight, bias == null ? delta : bias.add(delta));
    }
}
