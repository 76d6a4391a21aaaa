package dev.graft.cuda;

import static dev.graft.cuda.CudaKernel.Parameter.I32;
import static dev.graft.cuda.CudaKernel.Parameter.I64;
import static dev.graft.cuda.CudaKernel.Parameter.OPERAND;
import static dev.graft.cuda.CudaKernel.Parameter.POINTER;

import dev.graft.tensor.backend.View;
import dev.graft.tensor.op.Cat;
import java.util.Arrays;
import java.util.List;

/// Launches copy.cu.
final class CopyKernels {
    private static final CudaKernel COPY = CudaKernel.declare("copy_any", I32, OPERAND, OPERAND, I64),
            TRANSPOSED_16 = CudaKernel.declare("copy_transposed_16", POINTER, POINTER, I32, I32, I64, I64),
            TRANSPOSED_32 = CudaKernel.declare("copy_transposed_32", POINTER, POINTER, I32, I32, I64, I64);
    private static final Pair CAST = Pair.declare("cast", OPERAND, OPERAND, I64);
    private static final int TILE = 32, MOST_BLOCKS = 65_535;

    private CopyKernels() {
    }

    static void copy(View x, View y) {
        Device device = Temporary.device(y);
        if (y.size() == 0) return;
        if (x.storage() == y.storage()) {                                        // they may overlap
            if (x.offset() == y.offset() && Arrays.equals(x.strides(), y.strides())) return;
            try (Temporary between = Temporary.of(device, x.spec())) {
                copyApart(x, between.view());
                copyApart(between.view(), y);
            }
        } else {
            copyApart(x, y);
        }
    }

    private static void copyApart(View x, View y) {
        Device device = Temporary.device(y);
        if (x.isContiguous() && y.isContiguous()) device.copy(Launch.address(y), Launch.address(x), y.spec().bytes());
        else if (!transposed(x, y)) COPY.on(device).i32(y.dtype().bytes()).operand(x).operand(y).i64(y.size()).over(y.size());
    }

    /// Where the last two axes have changed places, and nothing else.
    private static boolean transposed(View x, View y) {
        int rank = x.rank(), bytes = x.dtype().bytes();
        if (rank < 2 || !y.isContiguous() || bytes != 2 && bytes != 4) return false;
        int n = x.dim(-2), m = x.dim(-1);                                        // y: [batch, n, m], x read as [batch, m, n]
        long batch = y.size() / n / m, step = rank == 2 ? 0 : x.stride(-3);
        boolean isPlain = x.stride(-2) == 1 && x.stride(-1) >= n && n >= TILE && m >= TILE;
        for (int axis = 0; axis < rank - 3; axis++) isPlain &= x.dim(axis) == 1 || x.stride(axis) == x.stride(axis + 1) * x.dim(axis + 1);
        if (!isPlain || batch > MOST_BLOCKS || Math.ceilDiv(m, TILE) > MOST_BLOCKS) return false;
        (bytes == 2 ? TRANSPOSED_16 : TRANSPOSED_32).on(Temporary.device(y)).pointer(x).pointer(y).i32(m).i32(n).i64(x.stride(-1)).i64(step)
                .run(Math.ceilDiv(n, TILE), Math.ceilDiv(m, TILE), (int) batch, 256);
        return true;
    }

    static void cast(View x, View y) {
        if (x.dtype() == y.dtype()) copy(x, y);
        else CAST.on(x, y).operand(x).operand(y).i64(y.size()).over(y.size());
    }

    static void cat(Cat op, List<View> parts, View y) {
        int axis = y.shape().axis(op.axis()), from = 0;
        for (View part : parts) {
            copy(part, y.slice(axis, from, from + part.dim(axis)));
            from += part.dim(axis);
        }
    }
}
