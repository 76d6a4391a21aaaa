package dev.graft.tensor.cpu;

import static jdk.incubator.vector.VectorOperators.EQ;
import static jdk.incubator.vector.VectorOperators.LSHR;
import static jdk.incubator.vector.VectorOperators.ZERO_EXTEND_B2I;

import dev.graft.tensor.op.Nf4;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import jdk.incubator.vector.ByteVector;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorShuffle;
import jdk.incubator.vector.VectorSpecies;

/// [Nf4] a vector at a time: L bytes become L integers, of whose halves values are looked up in registers.
///
/// ```
/// even values   VALUE[byte >> 4]        odd values   VALUE[byte & 15]
/// ```
/// The 16 values are one vector of 512 bits, or two of 256. Four of 128 bits are slower than memory: there [ScalarKernels] looks them up.
final class Nf4Loops {
    private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT_UNALIGNED;
    private static final VectorSpecies<Float> F = Lanes.F32;
    private static final VectorSpecies<Integer> I = Lanes.I32;
    private static final VectorSpecies<Byte> B = Lanes.I8;
    private static final ByteOrder LE = Lanes.ORDER;
    private static final int L = Lanes.LENGTH;
    private static final int V = Lanes.BYTES;
    private static final int HALF = Nf4.BLOCK / 2;

    private static final IntVector T0 = table(0), T1 = table(1);
    private static final VectorShuffle<Integer> FIRST = VectorShuffle.fromOp(I, lane -> lane / 2);
    private static final VectorShuffle<Integer> SECOND = VectorShuffle.fromOp(I, lane -> L / 2 + lane / 2);
    private static final IntVector SHIFTS = IntVector.fromArray(I, alternating(), 0);

    private Nf4Loops() {}

    /// The i-th part of the table as bits; the first one again behind the end.
    private static IntVector table(int part) {
        float[] values = Nf4.values();
        int[] bits = new int[L];
        for (int i = 0; i < L; i++) bits[i] = Float.floatToRawIntBits(values[(part * L + i) % values.length]);
        return IntVector.fromArray(I, bits, 0);
    }

    private static int[] alternating() {
        int[] shifts = new int[L];
        for (int i = 0; i < L; i += 2) shifts[i] = 4;
        return shifts;
    }

    /// The values of codes; bits above the fourth must be zero.
    private static FloatVector values(IntVector codes) {
        if (L == 16) return codes.selectFrom(T0).reinterpretAsFloats();
        return codes.selectFrom(T0).blend(codes.selectFrom(T1), codes.and(8).compare(EQ, 8)).reinterpretAsFloats();
    }

    /// L bytes as integers, two codes each.
    private static IntVector pairs(MemorySegment from, long at) {
        return (IntVector) ByteVector.fromMemorySegment(B, from, at, LE).convertShape(ZERO_EXTEND_B2I, I, 0);
    }

    /// n values from the `first` one on, codes beginning at byte fo.
    static void values(MemorySegment from, long fo, long first, Absmax absmax, MemorySegment to, long too, int n) {
        for (int j = 0; j < n;) {
            long i = first + j;
            int count = (int) Math.min(n - j, Nf4.BLOCK - i % Nf4.BLOCK);
            block(from, fo, i, absmax, to, too + j * 4L, count);
            j += count;
        }
    }

    /// Values of one block.
    private static void block(MemorySegment from, long fo, long first, Absmax absmax, MemorySegment to, long too, int n) {
        int j = 0;
        if (first % 2 != 0) to.set(FLOAT, too + 4L * j, absmax.value(from, fo, first + j++));
        float scale = absmax.of(first / Nf4.BLOCK);
        for (; j <= n - 2 * L; j += 2 * L) {
            IntVector pairs = pairs(from, fo + (first + j) / 2);
            values(pairs.rearrange(FIRST).lanewise(LSHR, SHIFTS).and(15)).mul(scale).intoMemorySegment(to, too + j * 4L, LE);
            values(pairs.rearrange(SECOND).lanewise(LSHR, SHIFTS).and(15)).mul(scale).intoMemorySegment(to, too + j * 4L + V, LE);
        }
        for (; j < n; j++) to.set(FLOAT, too + j * 4L, absmax.value(from, fo, first + j));
    }

    /// See [Kernels#dotsOfNf4]. The sum of a block is scaled, not each of its numbers.
    static void dots(
            MemorySegment w, long o0, long o1, MemorySegment scales, long s0, long s1, MemorySegment x, long xo, int n,
            MemorySegment sums, long so) {
        FloatVector zero = FloatVector.zero(F);
        FloatVector a = zero, b = zero;
        for (int block = 0; block < n / Nf4.BLOCK; block++) {
            FloatVector p = zero, q = zero;
            for (int l = 0; l < HALF; l += L) {
                long at = (long) block * HALF + l, xe = xo + ((long) block * Nf4.BLOCK + l) * 4;
                IntVector u = pairs(w, o0 + at), v = pairs(w, o1 + at);
                FloatVector even = FloatVector.fromMemorySegment(F, x, xe, LE),
                        odd = FloatVector.fromMemorySegment(F, x, xe + HALF * 4, LE);
                p = even.fma(values(u.lanewise(LSHR, 4)), p);
                q = even.fma(values(v.lanewise(LSHR, 4)), q);
                p = odd.fma(values(u.and(15)), p);
                q = odd.fma(values(v.and(15)), q);
            }
            a = FloatVector.broadcast(F, scales.get(FLOAT, s0 + (long) block * 4)).fma(p, a);
            b = FloatVector.broadcast(F, scales.get(FLOAT, s1 + (long) block * 4)).fma(q, b);
        }
        zero.add(a).intoMemorySegment(sums, so, LE);
        zero.add(b).intoMemorySegment(sums, so + V, LE);
    }
}
