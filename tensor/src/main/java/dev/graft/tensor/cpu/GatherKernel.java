package dev.graft.tensor.cpu;

import dev.graft.tensor.DType;
import dev.graft.tensor.TensorException;
import dev.graft.tensor.backend.View;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/// [dev.graft.tensor.op.Gather]: rows of any type, copied whole.
final class GatherKernel {
    private static final long GRAIN = 128 << 10;

    private GatherKernel() {
    }

    static void run(View table, View index, View out) {
        if (!table.isContiguousFrom(1)) {
            try (Temporary rows = Temporary.contiguous(table)) {
                run(rows.view(), index, out);
            }
            return;
        }
        long[] rows = indices(index, table.dim(0), "gather");
        int size = table.dtype().bytes();
        long bytes = table.shape().range(1, table.rank()).size() * size;
        long step = table.stride(0) * size;
        MemorySegment from = table.segment();
        MemorySegment to = out.segment();
        Parallel.range(rows.length, Math.ceilDiv(GRAIN, Math.max(1, bytes)), (first, last) -> {
            for (int i = (int) first; i < last; i++)
                MemorySegment.copy(from, table.byteOffset() + rows[i] * step, to, out.byteOffset() + i * bytes, bytes);
        });
    }

    /// Row-major, each within 0 … rows − 1.
    static long[] indices(View index, int rows, String op) {
        long[] out = indices(index);
        for (long i : out) if (i < 0 || i >= rows) throw new TensorException("[%s] index %d is outside 0 … %d".formatted(op, i, rows - 1));
        return out;
    }

    /// I32 or I64, row-major.
    static long[] indices(View index) {
        try (Temporary contiguous = Temporary.contiguous(index)) {
            View v = contiguous.view();
            long[] out = new long[Math.toIntExact(v.size())];
            for (int i = 0; i < out.length; i++) {
                out[i] = v.dtype() == DType.I64
                        ? v.segment().get(ValueLayout.JAVA_LONG_UNALIGNED, v.byteOffset() + i * 8L)
                        : v.segment().get(ValueLayout.JAVA_INT_UNALIGNED, v.byteOffset() + i * 4L);
            }
            return out;
        }
    }
}
