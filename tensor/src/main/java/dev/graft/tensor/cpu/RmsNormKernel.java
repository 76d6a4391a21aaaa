package dev.graft.tensor.cpu;

import dev.graft.tensor.backend.View;
import dev.graft.tensor.op.RmsNorm;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import jdk.incubator.vector.FloatVector;

/// [RmsNorm], row by row: the second pass finds the row in the first-level cache.
///
/// ```
/// r = 1/√(x·x / C + eps)        y = (x · r) ⊙ w
/// ```
final class RmsNormKernel {
    private static final long GRAIN = 16 << 10;
    private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT_UNALIGNED;

    private RmsNormKernel() {
    }

    static void run(RmsNorm op, List<View> in, List<View> out) {
        View x = in.get(0);
        View w = in.get(1);
        View y = out.get(0);
        View scale = out.get(1);
        int n = x.dim(-1);
        Parallel.range(x.rows(), Math.ceilDiv(GRAIN, Math.max(1, n)), (from, to) -> {
            for (long row = from; row < to; row++) {
                long xo = x.byteOffset() + row * n * 4;
                float r = (float) (1 / Math.sqrt(Rows.dot(x.segment(), xo, x.segment(), xo, n) / (double) n + op.eps()));
                scale.segment().set(FLOAT, scale.byteOffset() + row * 4, r);
                scaled(x.segment(), xo, r, w.segment(), w.byteOffset(), y.segment(), y.byteOffset() + row * n * 4, n);
            }
        });
    }

    private static void scaled(MemorySegment x, long xo, float r, MemorySegment w, long wo, MemorySegment y, long yo, int n) {
        int whole = n - n % Lanes.LENGTH;
        if (whole > 0) body(x, xo, r, w, wo, y, yo, whole);
        for (int i = whole; i < n; i++) y.set(FLOAT, yo + i * 4L, x.get(FLOAT, xo + i * 4L) * r * w.get(FLOAT, wo + i * 4L));
    }

    private static void body(MemorySegment x, long xo, float r, MemorySegment w, long wo, MemorySegment y, long yo, int n) {
        for (int i = 0; i < n; i += Lanes.LENGTH) {
            FloatVector v = FloatVector.fromMemorySegment(Lanes.F32, x, xo + i * 4L, Lanes.ORDER);
            v.mul(r).mul(FloatVector.fromMemorySegment(Lanes.F32, w, wo + i * 4L, Lanes.ORDER)).intoMemorySegment(y, yo + i * 4L,
                    Lanes.ORDER);
        }
    }
}
