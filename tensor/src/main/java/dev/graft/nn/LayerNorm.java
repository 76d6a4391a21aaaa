package dev.graft.nn;

import dev.graft.tensor.Shape;
import dev.graft.tensor.Tensor;

/// Layer normalisation with a trained weight and bias; see [dev.graft.tensor.op.LayerNorm].
public final class LayerNorm extends Layer {
    private final double eps;
    private final Parameter weight;
    private final Parameter bias;

    public LayerNorm(int width, double eps) {
        this.eps = eps;
        this.weight = param("weight", Shape.of(width));
        this.bias = param("bias", Shape.of(width));
    }

    @Override
    protected Tensor compute(Tensor x) {
        return dev.graft.tensor.op.LayerNorm.of(x, weight.value().to(x.dtype()), bias.value().to(x.dtype()), eps);
    }

    public Parameter weight() {
        return weight;
    }

    public Parameter bias() {
        return bias;
    }
}
