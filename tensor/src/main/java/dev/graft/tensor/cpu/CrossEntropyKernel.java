package dev.graft.tensor.cpu;

import dev.graft.tensor.TensorException;
import dev.graft.tensor.backend.View;
import dev.graft.tensor.op.CrossEntropy;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;

/// [CrossEntropy] in one pass over the logits.
///
/// ```
/// loss = lse − x[target]        for each block of the row:  m′ = max(m, max block),  s ← s · e^(m − m′) + Σ e^(block − m′)        lse = m + ln s
/// ```
final class CrossEntropyKernel {
    /// Numbers of a row that stay in the first-level cache between the block's maximum and its sum.
    private static final int BLOCK = 4 << 10;
    private static final long GRAIN = 16 << 10;
    private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT_UNALIGNED;

    private CrossEntropyKernel() {
    }

    static void run(CrossEntropy op, List<View> in, List<View> out) {
        View x = in.get(0);
        View loss = out.get(0);
        View lse = out.get(1);
        int n = x.dim(1);
        long[] targets = targets(in.get(1), n, op.ignoreIndex());
        Parallel.range(x.dim(0), Math.ceilDiv(GRAIN, Math.max(1, n)), (from, to) -> {
            for (int r = (int) from; r < to; r++) {
                long row = x.byteOffset() + (long) r * n * 4;
                float sum = logSumExp(x.segment(), row, n);
                boolean counts = targets[r] != op.ignoreIndex();
                lse.segment().set(FLOAT, lse.byteOffset() + r * 4L, sum);
                loss.segment().set(FLOAT, loss.byteOffset() + r * 4L, counts ? sum - x.segment().get(FLOAT, row + targets[r] * 4) : 0);
            }
        });
    }

    /// `ln Σ eˣ` of a row.
    static float logSumExp(MemorySegment x, long xo, int n) {
        float max = Float.NEGATIVE_INFINITY;
        float sum = 0;
        for (int i = 0; i < n; i += BLOCK) {
            int size = Math.min(BLOCK, n - i);
            float higher = Math.max(max, Rows.max(x, xo + i * 4L, size));
            sum = (sum == 0 ? 0 : sum * Exp.exp(max - higher)) + Rows.sumOfExp(x, xo + i * 4L, higher, size);
            max = higher;
        }
        return (float) (max + Math.log(sum));
    }

    /// Each within 0 … classes − 1, or the one to ignore.
    static long[] targets(View target, int classes, int ignoreIndex) {
        long[] out = GatherKernel.indices(target);
        for (long t : out) {
            if (t != ignoreIndex && (t < 0 || t >= classes)) {
                throw new TensorException(
                        "[cross_entropy] target %d is outside 0 … %d and not the ignore_index %d".formatted(t, classes - 1, ignoreIndex));
            }
        }
        return out;
    }
}
