package dev.graft.nn;

import dev.graft.tensor.Shape;
import dev.graft.tensor.Tensor;

/// A linear layer.
///
/// ```
/// y = x Wᵀ + b
/// ```
/// x: `[…, in]`, W: `[out, in]`, b: `[out]` or absent, y: `[…, out]`.
///
/// The weight may belong to another part: an output layer tied to its embedding. It is then listed, saved and counted where it belongs, once, and
/// its gradient is the sum of both uses.
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

    private Linear(Parameter weight) {
        this.in = weight.shape().dim(1);
        this.out = weight.shape().dim(0);
        this.weight = weight;
        this.bias = null;
    }

    /// A layer without bias on the weight `[out, in]` of another part.
    public static Linear tiedTo(Parameter weight) {
        return new Linear(weight);
    }

    @Override
    protected Tensor compute(Tensor x) {
        Tensor y = weight.weight().linear(x);
        return bias == null ? y : y.add(bias.value().to(y.dtype()));
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
