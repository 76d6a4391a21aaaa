package dev.graft.tensor.cpu;

/// What a product does with its sums as it writes them out, while they are still in cache.
///
/// ```
/// C = α·A·B + bias          accumulate = false
/// C = α·A·B + bias + C      accumulate = true
/// ```
/// A low-rank update is one more product that accumulates: `y = x·Wᵀ`, then `y += α·(x·Aᵀ)·Bᵀ`.
///
/// @param bias one number for each column of C, as a matrix of one row, or null
public record Epilogue(double alpha, boolean accumulate, Matrix bias) {
    public static final Epilogue PLAIN = new Epilogue(1, false, null);
    public static final Epilogue ACCUMULATE = new Epilogue(1, true, null);

    public static Epilogue scaled(double alpha) {
        return new Epilogue(alpha, false, null);
    }

    public Epilogue accumulating() {
        return new Epilogue(alpha, true, bias);
    }

    public Epilogue plus(Matrix row) {
        return new Epilogue(alpha, accumulate, row);
    }

    /// The same for Cᵀ.
    Epilogue transposed() {
        return bias == null ? this : new Epilogue(alpha, accumulate, bias.transposed());
    }

    /// What is left to do when a later stretch of the contraction is added to C.
    Epilogue afterFirst() {
        return new Epilogue(alpha, true, null);
    }

    /// The same with the bias repeated for each row of C, by a stride of zero.
    Epilogue over(Matrix c) {
        if (bias == null) {
            return this;
        }
        if (bias.rows() != 1 || bias.cols() != c.cols() || bias.type() != c.type()) {
            throw new IllegalArgumentException("bias of a product must be " + c.type() + "[1, " + c.cols() + "], got " + bias);
        }
        return plus(Matrix.of(bias.type(), bias.segment(), bias.offset(), c.rows(), c.cols(), 0, bias.colStride()));
    }

    /// The bias of element (i, j).
    double biasAt(int i, int j) {
        return bias == null ? 0 : bias.at(i, j);
    }
}
