package dev.graft.tensor.cpu;

import dev.graft.tensor.backend.View;
import dev.graft.tensor.op.LayerNormGrad;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import jdk.incubator.vector.FloatVector;

/// [LayerNormGrad], row by row.
///
/// ```
/// n = (x − μ) · r, h = w ⊙ dy        dx = r · (h − Σ h / C − n · Σ (h ⊙ n) / C)
/// ```
final class LayerNormGradKernel {
    private static final long GRAIN = 16 << 10;
    private static final int L = Lanes.LENGTH;
    private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT_UNALIGNED;

    private LayerNormGradKernel() {
    }

    static void run(LayerNormGrad op, List<View> in, List<View> out) {
        View x = in.get(0);
        View w = in.get(1);
        View mean = in.get(2);
        View scale = in.get(3);
        View dy = in.get(4);
        View dx = out.getFirst();
        int n = x.dim(-1);
        Parallel.range(x.rows(), Math.ceilDiv(GRAIN, Math.max(1, n)), (from, to) -> {
            for (long i = from; i < to; i++) {
                long at = i * n * 4;
                float mu = mean.segment().get(FLOAT, mean.byteOffset() + i * 4);
                float r = scale.segment().get(FLOAT, scale.byteOffset() + i * 4);
                new Row(x.segment(), x.byteOffset() + at, mu, r, w.segment(), w.byteOffset(), dy.segment(), dy.byteOffset() + at, n)
                        .write(dx.segment(), dx.byteOffset() + at);
            }
        });
    }

    private record Row(MemorySegment x, long xo, float mu, float r, MemorySegment w, long wo, MemorySegment dy, long dyo, int n) {
        void write(MemorySegment dx, long dxo) {
            int whole = n - n % L;
            float h = Rows.dot(w, wo, dy, dyo, n) / n;
            float hn = (whole == 0 ? 0 : sum(x, xo, mu, r, w, wo, dy, dyo, whole));
            for (int i = whole; i < n; i++) hn += normal(i) * h(i);
            hn /= n;
            if (whole > 0) body(x, xo, mu, r, w, wo, dy, dyo, h, hn, dx, dxo, whole);
            for (int i = whole; i < n; i++) dx.set(FLOAT, dxo + i * 4L, (h(i) - h - normal(i) * hn) * r);
        }

        private float normal(int i) {
            return (x.get(FLOAT, xo + i * 4L) - mu) * r;
        }

        private float h(int i) {
            return dy.get(FLOAT, dyo + i * 4L) * w.get(FLOAT, wo + i * 4L);
        }
    }

    /// `Σ h ⊙ n`.
    private static float sum(MemorySegment x, long xo, float mu, float r, MemorySegment w, long wo, MemorySegment dy, long dyo, int n) {
        FloatVector sum = FloatVector.zero(Lanes.F32);
        for (int i = 0; i < n; i += L) {
            FloatVector normal = load(x, xo + i * 4L).sub(mu).mul(r);
            sum = load(dy, dyo + i * 4L).mul(load(w, wo + i * 4L)).fma(normal, sum);
        }
        return Lanes.sum(sum);
    }

    private static void body(
            MemorySegment x, long xo, float mu, float r, MemorySegment w, long wo, MemorySegment dy, long dyo, float meanH, float meanHn,
            MemorySegment dx, long dxo, int n) {
        for (int i = 0; i < n; i += L) {
            FloatVector normal = load(x, xo + i * 4L).sub(mu).mul(r);
            FloatVector h = load(dy, dyo + i * 4L).mul(load(w, wo + i * 4L));
            h.sub(meanH).sub(normal.mul(meanHn)).mul(r).intoMemorySegment(dx, dxo + i * 4L, Lanes.ORDER);
        }
    }

    private static FloatVector load(MemorySegment from, long at) {
        return FloatVector.fromMemorySegment(Lanes.F32, from, at, Lanes.ORDER);
    }
}
