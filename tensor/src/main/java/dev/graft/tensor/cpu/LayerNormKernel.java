package dev.graft.tensor.cpu;

import dev.graft.tensor.backend.View;
import dev.graft.tensor.op.LayerNorm;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import jdk.incubator.vector.FloatVector;

/// [LayerNorm], row by row. The variance is that of the centred row: the difference of two large sums would lose it.
///
/// ```
/// μ = Σ x / C        r = 1/√(Σ (x − μ)² / C + eps)        y = ((x − μ) · r) ⊙ w + b
/// ```
final class LayerNormKernel {
    private static final long GRAIN = 16 << 10;
    private static final int L = Lanes.LENGTH;
    private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT_UNALIGNED;

    private LayerNormKernel() {
    }

    static void run(LayerNorm op, List<View> in, List<View> out) {
        View x = in.get(0);
        View w = in.get(1);
        View b = in.get(2);
        View y = out.get(0);
        View mean = out.get(1);
        View scale = out.get(2);
        int n = x.dim(-1);
        Parallel.range(x.rows(), Math.ceilDiv(GRAIN, Math.max(1, n)), (from, to) -> {
            for (long row = from; row < to; row++) {
                long xo = x.byteOffset() + row * n * 4;
                float mu = Rows.sum(x.segment(), xo, n) / n;
                float r = (float) (1 / Math.sqrt(squares(x.segment(), xo, mu, n) / (double) n + op.eps()));
                mean.segment().set(FLOAT, mean.byteOffset() + row * 4, mu);
                scale.segment().set(FLOAT, scale.byteOffset() + row * 4, r);
                write(x.segment(), xo, mu, r, w.segment(), w.byteOffset(), b.segment(), b.byteOffset(), y.segment(),
                        y.byteOffset() + row * n * 4, n);
            }
        });
    }

    /// `Σ (x − μ)²`.
    private static float squares(MemorySegment x, long xo, float mu, int n) {
        int whole = n - n % (2 * L);
        float sum = whole == 0 ? 0 : squaresBody(x, xo, mu, whole);
        for (int i = whole; i < n; i++) {
            float d = x.get(FLOAT, xo + i * 4L) - mu;
            sum += d * d;
        }
        return sum;
    }

    private static float squaresBody(MemorySegment x, long xo, float mu, int n) {
        FloatVector s0 = FloatVector.zero(Lanes.F32);
        FloatVector s1 = s0;
        for (int i = 0; i < n; i += 2 * L) {
            FloatVector d0 = load(x, xo + i * 4L).sub(mu);
            FloatVector d1 = load(x, xo + (i + L) * 4L).sub(mu);
            s0 = d0.fma(d0, s0);
            s1 = d1.fma(d1, s1);
        }
        return Lanes.sum(s0.add(s1));
    }

    private static void write(
            MemorySegment x, long xo, float mu, float r, MemorySegment w, long wo, MemorySegment b, long bo, MemorySegment y, long yo,
            int n) {
        int whole = n - n % L;
        if (whole > 0) writeBody(x, xo, mu, r, w, wo, b, bo, y, yo, whole);
        for (int i = whole; i < n; i++) {
            float normal = (x.get(FLOAT, xo + i * 4L) - mu) * r;
            y.set(FLOAT, yo + i * 4L, Math.fma(normal, w.get(FLOAT, wo + i * 4L), b.get(FLOAT, bo + i * 4L)));
        }
    }

    private static void writeBody(
            MemorySegment x, long xo, float mu, float r, MemorySegment w, long wo, MemorySegment b, long bo, MemorySegment y, long yo,
            int n) {
        for (int i = 0; i < n; i += L) {
            FloatVector normal = load(x, xo + i * 4L).sub(mu).mul(r);
            normal.fma(load(w, wo + i * 4L), load(b, bo + i * 4L)).intoMemorySegment(y, yo + i * 4L, Lanes.ORDER);
        }
    }

    private static FloatVector load(MemorySegment from, long at) {
        return FloatVector.fromMemorySegment(Lanes.F32, from, at, Lanes.ORDER);
    }
}
