package dev.graft.cuda;

import static dev.graft.cuda.CudaKernel.Parameter.I32;
import static dev.graft.cuda.CudaKernel.Parameter.I64;
import static dev.graft.cuda.CudaKernel.Parameter.POINTER;

import dev.graft.cuda.CudaKernel.Parameter;
import dev.graft.tensor.DType;
import dev.graft.tensor.Shape;
import dev.graft.tensor.Spec;
import dev.graft.tensor.backend.View;
import dev.graft.tensor.op.Reduce;

/// Launches reduce.cu.
final class ReduceKernels {
    private static final Parameter[] OF_ROWS = {I32, POINTER, I32, POINTER, I32, I64, I64},
            OF_COLUMNS = {I32, POINTER, I32, POINTER, I32, I64, I64, I64};
    private static final Pair ROWS = Pair.declare("reduce_rows", OF_ROWS), SHORT_ROWS = Pair.declare("reduce_short_rows", OF_ROWS),
            COLUMNS = Pair.declare("reduce_columns", OF_COLUMNS);

    /// Elements of an axis that are worth a block, and a thread that goes through a column.
    private static final int ROW_CHUNK = 16 << 10, COLUMN_CHUNK = 256;

    /// A row up to this long is a warp's.
    private static final int SHORT = 512;

    private ReduceKernels() {
    }

    static void run(Reduce op, View in, View y) {
        try (Temporary contiguous = Temporary.contiguous(in)) {
            View x = contiguous.view();
            int axis = x.shape().axis(op.axis());
            long outer = x.shape().range(0, axis).size(), n = x.dim(axis), inner = x.shape().range(axis + 1, x.rank()).size();
            int chunks = op.law() == Reduce.Law.ARGMAX ? 1 : chunks(outer, n, inner, Temporary.device(y).multiprocessors());
            if (chunks == 1) {
                fold(op.law(), x, y, outer, n, inner, 1);
                return;
            }
            DType type = Pair.isSingle(x.dtype()) ? DType.F32 : DType.F64;
            try (Temporary parts = Temporary.of(Temporary.device(y), new Spec(Shape.of(Math.toIntExact(outer * chunks * inner)), type))) {
                fold(op.law(), x, parts.view(), outer, n, inner, chunks);
                fold(op.law(), parts.view(), y, outer, chunks, inner, 1);
            }
        }
    }

    /// Into how many an axis is cut so that every multiprocessor has work.
    private static int chunks(long outer, long n, long inner, int multiprocessors) {
        long blocks = inner == 1 ? outer : Math.ceilDiv(outer * inner, 256), most = n / (inner == 1 ? ROW_CHUNK : COLUMN_CHUNK);
        return (int) Math.clamp(Math.ceilDiv(2L * multiprocessors, Math.max(1, blocks)), 1, Math.max(1, most));
    }

    private static void fold(Reduce.Law law, View x, View y, long outer, long n, long inner, int chunks) {
        if (outer * inner == 0) return;
        boolean isShort = n <= SHORT && chunks == 1;
        Launch launch = (inner > 1 ? COLUMNS : isShort ? SHORT_ROWS : ROWS).on(x).i32(law.ordinal()).pointer(x).i32(x.dtype().ordinal())
                .pointer(y).i32(y.dtype().ordinal()).i64(outer).i64(n);
        if (inner > 1) launch.i64(inner).run((int) Math.min(Math.ceilDiv(outer * inner, 256), 1 << 20), chunks, 1, 256);
        else launch.run(Math.toIntExact(isShort ? Math.ceilDiv(outer, 8) : outer), chunks, 1, 256);
    }
}
