package dev.graft.peft;

import dev.graft.nn.Linear;
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

    /// Each output times s, `[out]`.
    public Plain scaled(Tensor s) {
        return new Plain(weight.mul(s.unsqueeze(1)), bias == null ? null : bias.mul(s));
    }

    /// Each output times s, but for the bias that the layer has by itself: `s ⊙ (W x + (b − own)) + own`.
    public Plain scaledButBias(Tensor s, Linear base) {
        if (base.bias() == null) return scaled(s);
        Tensor own = base.bias().value().to(weight.dtype());
        return new Plain(weight, bias.sub(own)).scaled(s).plusBias(own);
    }
}
