package dev.graft.tensor.cpu;

import dev.graft.tensor.backend.View;
import dev.graft.tensor.op.Softmax;
import java.lang.foreign.MemorySegment;
import java.util.List;

/// [Softmax], row by row.
///
/// ```
/// m = max x        y = e^(x − m), s = Σ y        y ← y / s
/// ```
final class SoftmaxKernel {
    private static final long GRAIN = 8 << 10;

    private SoftmaxKernel() {
    }

    static void run(Softmax op, List<View> in, List<View> out) {
        View x = in.getFirst();
        View y = out.getFirst();
        int n = x.dim(-1);
        Parallel.range(x.rows(), Math.ceilDiv(GRAIN, Math.max(1, n)), (from, to) -> {
            for (long r = from; r < to; r++) row(x.segment(), x.byteOffset() + r * n * 4, y.segment(), y.byteOffset() + r * n * 4, n);
        });
    }

    private static void row(MemorySegment x, long xo, MemorySegment y, long yo, int n) {
        float sum = Rows.exp(x, xo, Rows.max(x, xo, n), y, yo, n);
        Rows.affine(y, yo, 1 / sum, 0, y, yo, n);
    }
}
