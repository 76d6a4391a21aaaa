package dev.graft.tensor.cpu;

import dev.graft.tensor.TensorException;
import dev.graft.tensor.backend.HostMemory;
import dev.graft.tensor.backend.Storage;
import dev.graft.tensor.backend.View;
import dev.graft.tensor.op.Rope;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorShuffle;

/// [Rope]. All heads of a position turn by the same angles, so these are laid out once for a head: `y = x ⊙ c + partner(x) ⊙ s` over R elements.
///
/// ```
/// half-split:   c = cos cos        s = −sin sin        partner(x)[i] = x[i ± R/2]
/// interleaved:  c = c₀ c₀ c₁ c₁ …  s = −s₀ s₀ −s₁ s₁ …  partner(x)[i] = x[i ^ 1]
/// ```
final class RopeKernel {
    private static final long GRAIN = 16 << 10;
    private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT_UNALIGNED;
    private static final VectorShuffle<Float> NEIGHBOUR = VectorShuffle.fromOp(Lanes.F32, lane -> lane ^ 1);

    private RopeKernel() {
    }

    static void run(Rope op, List<View> in, List<View> out) {
        View x = in.get(0);
        View cos = in.get(1);
        View sin = in.get(2);
        View y = out.getFirst();
        int heads = x.dim(2);
        int d = x.dim(3);
        int half = cos.dim(1);
        long[] positions = positions(in.get(3), cos.dim(0));
        Parallel.range(positions.length, Math.ceilDiv(GRAIN, Math.max(1, (long) heads * d)), (from, to) -> {
            Storage angles = HostMemory.shared().allocate(16L * half + 4);
            try {
                MemorySegment a = angles.segment();
                for (int i = (int) from; i < to; i++) {
                    layOut(op, cos, sin, positions[i] * half * 4, half, a);
                    for (int h = 0; h < heads; h++) {
                        long at = ((long) i * heads + h) * d * 4;
                        head(op.interleaved(), x.segment(), x.byteOffset() + at, a, half, y.segment(), y.byteOffset() + at);
                        MemorySegment.copy(x.segment(), x.byteOffset() + at + 8L * half, y.segment(), y.byteOffset() + at + 8L * half,
                                (d - 2L * half) * 4);
                    }
                }
            } finally {
                angles.release();
            }
        });
    }

    private static long[] positions(View positions, int most) {
        long[] out = GatherKernel.indices(positions);
        for (long p : out) if (p < 0 || p >= most) throw new TensorException("[rope] position %d is outside 0 … %d".formatted(p, most - 1));
        return out;
    }

    /// c at byte 0, s behind it.
    private static void layOut(Rope op, View cos, View sin, long at, int half, MemorySegment a) {
        for (int i = 0; i < half; i++) {
            float c = cos.segment().get(FLOAT, cos.byteOffset() + at + i * 4L);
            float s = sin.segment().get(FLOAT, sin.byteOffset() + at + i * 4L);
            if (op.inverse()) s = -s;
            int first = op.interleaved() ? 2 * i : i;
            int second = op.interleaved() ? 2 * i + 1 : i + half;
            a.set(FLOAT, first * 4L, c);
            a.set(FLOAT, second * 4L, c);
            a.set(FLOAT, (2L * half + first) * 4, -s);
            a.set(FLOAT, (2L * half + second) * 4, s);
        }
    }

    private static void head(boolean interleaved, MemorySegment x, long xo, MemorySegment a, int half, MemorySegment y, long yo) {
        long s = 8L * half;
        if (interleaved) {
            int whole = 2 * half - 2 * half % Lanes.LENGTH;
            if (whole > 0) neighbours(x, xo, a, s, y, yo, whole);
            for (int i = whole; i < 2 * half; i++) turn(x, xo + i * 4L, xo + (i ^ 1) * 4L, a, i * 4L, s, y, yo + i * 4L);
        } else {
            int whole = half - half % Lanes.LENGTH;
            if (whole > 0) halves(x, xo, 4L * half, a, s, y, yo, whole);
            for (int i = whole; i < half; i++) {
                turn(x, xo + i * 4L, xo + (i + half) * 4L, a, i * 4L, s, y, yo + i * 4L);
                turn(x, xo + (i + half) * 4L, xo + i * 4L, a, (i + half) * 4L, s, y, yo + (i + half) * 4L);
            }
        }
    }

    /// One element, with the product first that the vectors round first.
    private static void turn(MemorySegment x, long self, long partner, MemorySegment a, long c, long s, MemorySegment y, long at) {
        y.set(FLOAT, at, Math.fma(x.get(FLOAT, self), a.get(FLOAT, c), x.get(FLOAT, partner) * a.get(FLOAT, s + c)));
    }

    private static void halves(MemorySegment x, long xo, long half, MemorySegment a, long s, MemorySegment y, long yo, int n) {
        for (int i = 0; i < n; i += Lanes.LENGTH) {
            long at = i * 4L;
            FloatVector x1 = load(x, xo + at);
            FloatVector x2 = load(x, xo + half + at);
            x1.fma(load(a, at), x2.mul(load(a, s + at))).intoMemorySegment(y, yo + at, Lanes.ORDER);
            x2.fma(load(a, half + at), x1.mul(load(a, s + half + at))).intoMemorySegment(y, yo + half + at, Lanes.ORDER);
        }
    }

    private static void neighbours(MemorySegment x, long xo, MemorySegment a, long s, MemorySegment y, long yo, int n) {
        for (int i = 0; i < n; i += Lanes.LENGTH) {
            long at = i * 4L;
            FloatVector v = load(x, xo + at);
            v.fma(load(a, at), v.rearrange(NEIGHBOUR).mul(load(a, s + at))).intoMemorySegment(y, yo + at, Lanes.ORDER);
        }
    }

    private static FloatVector load(MemorySegment from, long at) {
        return FloatVector.fromMemorySegment(Lanes.F32, from, at, Lanes.ORDER);
    }
}
