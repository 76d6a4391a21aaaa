package dev.graft.tensor.cpu;

import dev.graft.tensor.backend.View;
import dev.graft.tensor.op.RmsNormGrad;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import jdk.incubator.vector.FloatVector;

/// [RmsNormGrad], row by row.
///
/// ```
/// s = Σ x ⊙ w ⊙ dy        dx = r · w ⊙ dy − (r³ s / C) · x
/// ```
final class RmsNormGradKernel {
    private static final long GRAIN = 16 << 10;
    private static final int L = Lanes.LENGTH;
    private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT_UNALIGNED;

    private RmsNormGradKernel() {
    }

    static void run(RmsNormGrad op, List<View> in, List<View> out) {
        View x = in.get(0);
        View w = in.get(1);
        View scale = in.get(2);
        View dy = in.get(3);
        View dx = out.getFirst();
        int n = x.dim(-1);
        Parallel.range(x.rows(), Math.ceilDiv(GRAIN, Math.max(1, n)), (from, to) -> {
            for (long row = from; row < to; row++) {
                long at = row * n * 4;
                float r = scale.segment().get(FLOAT, scale.byteOffset() + row * 4);
                float s = sum(x.segment(), x.byteOffset() + at, w.segment(), w.byteOffset(), dy.segment(), dy.byteOffset() + at, n);
                write(x.segment(), x.byteOffset() + at, w.segment(), w.byteOffset(), dy.segment(), dy.byteOffset() + at, r,
                        r * r * r * s / n,
                        dx.segment(), dx.byteOffset() + at, n);
            }
        });
    }

    private static float sum(MemorySegment x, long xo, MemorySegment w, long wo, MemorySegment dy, long dyo, int n) {
        int whole = n - n % (2 * L);
        float sum = whole == 0 ? 0 : sumBody(x, xo, w, wo, dy, dyo, whole);
        for (int i = whole; i < n; i++) sum += x.get(FLOAT, xo + i * 4L) * w.get(FLOAT, wo + i * 4L) * dy.get(FLOAT, dyo + i * 4L);
        return sum;
    }

    private static float sumBody(MemorySegment x, long xo, MemorySegment w, long wo, MemorySegment dy, long dyo, int n) {
        FloatVector s0 = FloatVector.zero(Lanes.F32);
        FloatVector s1 = s0;
        for (int i = 0; i < n; i += 2 * L) {
            s0 = load(x, xo + i * 4L).mul(load(w, wo + i * 4L)).fma(load(dy, dyo + i * 4L), s0);
            s1 = load(x, xo + (i + L) * 4L).mul(load(w, wo + (i + L) * 4L)).fma(load(dy, dyo + (i + L) * 4L), s1);
        }
        return Lanes.sum(s0.add(s1));
    }

    private static void write(
            MemorySegment x, long xo, MemorySegment w, long wo, MemorySegment dy, long dyo, float r, float c, MemorySegment dx, long dxo,
            int n) {
        int whole = n - n % L;
        if (whole > 0) writeBody(x, xo, w, wo, dy, dyo, r, c, dx, dxo, whole);
        for (int i = whole; i < n; i++) {
            float h = dy.get(FLOAT, dyo + i * 4L) * w.get(FLOAT, wo + i * 4L) * r;
            dx.set(FLOAT, dxo + i * 4L, h - x.get(FLOAT, xo + i * 4L) * c);
        }
    }

    private static void writeBody(
            MemorySegment x, long xo, MemorySegment w, long wo, MemorySegment dy, long dyo, float r, float c, MemorySegment dx, long dxo,
            int n) {
        for (int i = 0; i < n; i += L) {
            FloatVector h = load(dy, dyo + i * 4L).mul(load(w, wo + i * 4L)).mul(r);
            h.sub(load(x, xo + i * 4L).mul(c)).intoMemorySegment(dx, dxo + i * 4L, Lanes.ORDER);
        }
    }

    private static FloatVector load(MemorySegment from, long at) {
        return FloatVector.fromMemorySegment(Lanes.F32, from, at, Lanes.ORDER);
    }
}
