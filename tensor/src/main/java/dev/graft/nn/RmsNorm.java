package dev.graft.nn;

import dev.graft.tensor.Shape;
import dev.graft.tensor.Tensor;

/// Root-mean-square normalisation with a trained weight; see [dev.graft.tensor.op.RmsNorm].
public final class RmsNorm extends Layer {
    private final double eps;
    private final Parameter weight;

    public RmsNorm(int width, double eps) {
        this.eps = eps;
        this.weight = param("weight", Shape.of(width));
    }

    @Override
    protected Tensor compute(Tensor x) {
        return dev.graft.tensor.op.RmsNorm.of(x, weight.value().to(x.dtype()), eps);
    }

    public Parameter weight() {
        return weight;
    }
}
