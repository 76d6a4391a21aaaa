package dev.graft.nn;

import dev.graft.tensor.DType;
import dev.graft.tensor.Shape;
import dev.graft.tensor.Tensor;

/// A table of vectors by id.
///
/// ```
/// y = W[ids]
/// ```
/// ids: I32 or I64 `[…]`, W: `[V, C]`, y: F32 (or F64) `[…, C]`.
public final class Embedding extends Layer {
    private final int rows;
    private final int width;
    private final Parameter weight;

    public Embedding(int rows, int width) {
        this.rows = rows;
        this.width = width;
        this.weight = param("weight", Shape.of(rows, width));
    }

    @Override
    protected Tensor compute(Tensor ids) {
        Tensor y = weight.value().gather(ids);
        return y.dtype().isHalf() ? y.to(DType.F32) : y;
    }

    public int rows() {
        return rows;
    }

    public int width() {
        return width;
    }

    public Parameter weight() {
        return weight;
    }
}
