package dev.graft.tensor.op;

import dev.graft.tensor.DType;
import dev.graft.tensor.Shape;
import dev.graft.tensor.Tensor;
import java.util.List;

/// How far a kernel may be from the definition in double precision: all numbers of that kind are here.
///
/// ```
/// |got − want| ≤ unit · slack · √n · max(1, max |want|)        n: the longest sum, unit: half the distance of 1 from the next number
/// ```
/// For 16-bit types there is no such bound, since definitions round after each step: there the error may be at most twice that of the definition in
/// the same type (flash-attention's rule).
final class Tolerance {
    /// Roundings in a row that no sum is responsible for: the longest chain is layer normalisation's gradient.
    private static final double SLACK = 16;

    private Tolerance() {
    }

    /// The largest error allowed.
    static double of(DType dtype, List<Tensor> inputs, double... want) {
        double most = 1;
        for (double w : want) if (Double.isFinite(w)) most = Math.max(most, Math.abs(w));
        return unit(dtype) * SLACK * Math.sqrt(longest(inputs)) * most;
    }

    /// What the error in half precision may be, given the definition's own.
    static double half(DType dtype, double definition, double... want) {
        double most = 0;
        for (double w : want) most = Math.max(most, Math.abs(w));
        return 2 * definition + unit(dtype) * most;
    }

    static double unit(DType dtype) {
        return switch (dtype) {
            case F64 -> 0x1p-53;
            case F32 -> 0x1p-24;
            case F16 -> 0x1p-11;
            case BF16 -> 0x1p-8;
            case I64, I32, I8 -> 0;
        };
    }

    private static int longest(List<Tensor> inputs) {
        int longest = 1;
        for (Tensor t : inputs) {
            Shape s = t.shape();
            for (int axis = 0; axis < s.rank(); axis++) longest = Math.max(longest, s.dim(axis));
        }
        return longest;
    }
}
