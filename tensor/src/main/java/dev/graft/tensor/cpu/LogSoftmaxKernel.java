package dev.graft.tensor.cpu;

import dev.graft.tensor.backend.View;
import dev.graft.tensor.op.LogSoftmax;
import java.util.List;

/// [LogSoftmax], row by row.
///
/// ```
/// y = x − lse        lse = m + ln Σ e^(x − m), m = max x
/// ```
final class LogSoftmaxKernel {
    private static final long GRAIN = 8 << 10;

    private LogSoftmaxKernel() {
    }

    static void run(LogSoftmax op, List<View> in, List<View> out) {
        View x = in.getFirst();
        View y = out.getFirst();
        int n = x.dim(-1);
        Parallel.range(x.rows(), Math.ceilDiv(GRAIN, Math.max(1, n)), (from, to) -> {
            for (long r = from; r < to; r++) {
                long row = x.byteOffset() + r * n * 4;
                Rows.affine(x.segment(), row, 1, -CrossEntropyKernel.logSumExp(x.segment(), row, n), y.segment(),
                        y.byteOffset() + r * n * 4, n);
            }
        });
    }
}
