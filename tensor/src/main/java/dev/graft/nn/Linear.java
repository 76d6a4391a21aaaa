package dev.graft.nn;

import dev.graft.tensor.Shape;
import dev.graft.tensor.Tensor;

/// A linear layer.
///
/// ```
/// y = x Wᵀ + b
/// ```
/// x: `[…, in]`, W: `[out, in]`, b: `[out]` or absent, y: `[…, out]`.
public final class Linear extends Layer {
    private final int in;
    private final int out;
    private final Parameter weight;
    private final Parameter bias;

    public Linear(int in, int out, boolean bias) {
        this.in = in;
        this.out = out;
        this.weight = param("weight", Shape.of(out, in));
        this.bias = bias ? param("bias", Shape.of(out)) : null;
    }

    @Override
    protected Tensor compute(Tensor x) {
        Tensor y = weight.weight().linear(x);
        return bias == null ? y : y.add(bias.value());
    }

    public int in() {
        return in;
    }

    public int out() {
        return out;
    }

    public Parameter weight() {
        return weight;
    }

    /// The bias, or null.
    public Parameter bias() {
        return bias;
    }
}
