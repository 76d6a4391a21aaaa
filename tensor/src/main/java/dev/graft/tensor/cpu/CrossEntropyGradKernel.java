package dev.graft.tensor.cpu;

import dev.graft.tensor.backend.View;
import dev.graft.tensor.op.CrossEntropyGrad;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import jdk.incubator.vector.FloatVector;

/// [CrossEntropyGrad] in one pass.
///
/// ```
/// dx = e^(x − lse) · dy, less dy at the target
/// ```
final class CrossEntropyGradKernel {
    private static final long GRAIN = 16 << 10;
    private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT_UNALIGNED;

    private CrossEntropyGradKernel() {
    }

    static void run(CrossEntropyGrad op, List<View> in, List<View> out) {
        View x = in.get(0);
        View lse = in.get(2);
        View dy = in.get(3);
        View dx = out.getFirst();
        int n = x.dim(1);
        long[] targets = CrossEntropyKernel.targets(in.get(1), n, op.ignoreIndex());
        Parallel.range(x.dim(0), Math.ceilDiv(GRAIN, Math.max(1, n)), (from, to) -> {
            for (int r = (int) from; r < to; r++) {
                long row = dx.byteOffset() + (long) r * n * 4;
                if (targets[r] == op.ignoreIndex()) {
                    Rows.fill(0, dx.segment(), row, n);
                    continue;
                }
                float scale = dy.segment().get(FLOAT, dy.byteOffset() + r * 4L);
                row(x.segment(), x.byteOffset() + (long) r * n * 4, lse.segment().get(FLOAT, lse.byteOffset() + r * 4L), scale,
                        dx.segment(), row, n);
                long target = row + targets[r] * 4;
                dx.segment().set(FLOAT, target, dx.segment().get(FLOAT, target) - scale);
            }
        });
    }

    private static void row(MemorySegment x, long xo, float lse, float scale, MemorySegment y, long yo, int n) {
        int whole = n - n % Lanes.LENGTH;
        if (whole > 0) body(x, xo, lse, scale, y, yo, whole);
        for (int i = whole; i < n; i++) y.set(FLOAT, yo + i * 4L, Exp.exp(x.get(FLOAT, xo + i * 4L) - lse) * scale);
    }

    private static void body(MemorySegment x, long xo, float lse, float scale, MemorySegment y, long yo, int n) {
        for (int i = 0; i < n; i += Lanes.LENGTH) {
            FloatVector v = FloatVector.fromMemorySegment(Lanes.F32, x, xo + i * 4L, Lanes.ORDER);
            Exp.exp(v.sub(lse)).mul(scale).intoMemorySegment(y, yo + i * 4L, Lanes.ORDER);
        }
    }
}
