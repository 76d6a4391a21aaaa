package dev.graft.tensor.cpu;

import static jdk.incubator.vector.VectorOperators.B2F;
import static jdk.incubator.vector.VectorOperators.EQ;
import static jdk.incubator.vector.VectorOperators.LSHL;
import static jdk.incubator.vector.VectorOperators.OR;
import static jdk.incubator.vector.VectorOperators.S2I;
import static jdk.incubator.vector.VectorOperators.ZERO_EXTEND_S2I;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import jdk.incubator.vector.ByteVector;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.ShortVector;
import jdk.incubator.vector.VectorSpecies;

/// Dot products of contiguous rows, for products with few rows: the weights are read once, in place, and nothing is packed.
///
/// ```
/// Σₗ sums[i, l] = Σₖ w[oᵢ, k]·x[k]      i < 4; sums: lanes l stay apart, Kernels.fold adds them
/// ```
/// Four rows of w at once, so that x is loaded once for them and four streams of memory are open. Two sums a row where registers allow,
/// since an FMA takes four cycles and two can start in each. Small methods of a loop and stores, for the reasons given in [Tile].
final class Dots {
    private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT_UNALIGNED;
    private static final VectorSpecies<Float> F = Lanes.F32;
    private static final VectorSpecies<Integer> I = Lanes.I32;
    private static final VectorSpecies<Short> H = Lanes.I16;
    private static final VectorSpecies<Byte> B = Lanes.I8;
    private static final ByteOrder LE = Lanes.ORDER;
    private static final int L = Lanes.LENGTH;
    private static final int V = Lanes.BYTES;
    private static final int BYTES = B.length(); // at 128 bits twice L

    private Dots() {}

    static void f32(MemorySegment w, long o0, long o1, long o2, long o3, MemorySegment x, long xo, int n, MemorySegment sums, long so) {
        FloatVector zero = FloatVector.zero(F);
        FloatVector a0 = zero, a1 = zero, b0 = zero, b1 = zero, c0 = zero, c1 = zero, d0 = zero, d1 = zero;
        for (int k = 0; k < n; k += 2 * L) {
            long at = (long) k * 4;
            FloatVector x0 = FloatVector.fromMemorySegment(F, x, xo + at, LE);
            FloatVector x1 = FloatVector.fromMemorySegment(F, x, xo + at + V, LE);
            a0 = x0.fma(FloatVector.fromMemorySegment(F, w, o0 + at, LE), a0);
            a1 = x1.fma(FloatVector.fromMemorySegment(F, w, o0 + at + V, LE), a1);
            b0 = x0.fma(FloatVector.fromMemorySegment(F, w, o1 + at, LE), b0);
            b1 = x1.fma(FloatVector.fromMemorySegment(F, w, o1 + at + V, LE), b1);
            c0 = x0.fma(FloatVector.fromMemorySegment(F, w, o2 + at, LE), c0);
            c1 = x1.fma(FloatVector.fromMemorySegment(F, w, o2 + at + V, LE), c1);
            d0 = x0.fma(FloatVector.fromMemorySegment(F, w, o3 + at, LE), d0);
            d1 = x1.fma(FloatVector.fromMemorySegment(F, w, o3 + at + V, LE), d1);
        }
        zero.add(a0).add(a1).intoMemorySegment(sums, so, LE);
        zero.add(b0).add(b1).intoMemorySegment(sums, so + V, LE);
        zero.add(c0).add(c1).intoMemorySegment(sums, so + 2 * V, LE);
        zero.add(d0).add(d1).intoMemorySegment(sums, so + 3 * V, LE);
    }

    static void bf16(MemorySegment w, long o0, long o1, long o2, long o3, MemorySegment x, long xo, int n, MemorySegment sums, long so) {
        FloatVector zero = FloatVector.zero(F);
        FloatVector a = zero, b = zero, c = zero, d = zero;
        for (int k = 0; k < n; k += L) {
            long at = (long) k * 2;
            FloatVector xk = FloatVector.fromMemorySegment(F, x, xo + (long) k * 4, LE);
            IntVector bits;
            bits = (IntVector) ShortVector.fromMemorySegment(H, w, o0 + at, LE).convertShape(ZERO_EXTEND_S2I, I, 0);
            a = xk.fma(bits.lanewise(LSHL, 16).reinterpretAsFloats(), a);
            bits = (IntVector) ShortVector.fromMemorySegment(H, w, o1 + at, LE).convertShape(ZERO_EXTEND_S2I, I, 0);
            b = xk.fma(bits.lanewise(LSHL, 16).reinterpretAsFloats(), b);
            bits = (IntVector) ShortVector.fromMemorySegment(H, w, o2 + at, LE).convertShape(ZERO_EXTEND_S2I, I, 0);
            c = xk.fma(bits.lanewise(LSHL, 16).reinterpretAsFloats(), c);
            bits = (IntVector) ShortVector.fromMemorySegment(H, w, o3 + at, LE).convertShape(ZERO_EXTEND_S2I, I, 0);
            d = xk.fma(bits.lanewise(LSHL, 16).reinterpretAsFloats(), d);
        }
        zero.add(a).intoMemorySegment(sums, so, LE);
        zero.add(b).intoMemorySegment(sums, so + V, LE);
        zero.add(c).intoMemorySegment(sums, so + 2 * V, LE);
        zero.add(d).intoMemorySegment(sums, so + 3 * V, LE);
    }

    static void f16(MemorySegment w, long o0, long o1, long o2, long o3, MemorySegment x, long xo, int n, MemorySegment sums, long so) {
        FloatVector zero = FloatVector.zero(F);
        FloatVector a = zero, b = zero, c = zero, d = zero;
        for (int k = 0; k < n; k += L) {
            long at = (long) k * 2;
            FloatVector xk = FloatVector.fromMemorySegment(F, x, xo + (long) k * 4, LE);
            IntVector half, bits;
            half = (IntVector) ShortVector.fromMemorySegment(H, w, o0 + at, LE).convertShape(S2I, I, 0);
            bits = half.lanewise(LSHL, 13).and(0x8fffe000).reinterpretAsFloats().mul(0x1p112f).reinterpretAsInts();
            a = xk.fma(bits.lanewise(OR, 0x7f800000, half.and(0x7c00).compare(EQ, 0x7c00)).reinterpretAsFloats(), a);
            half = (IntVector) ShortVector.fromMemorySegment(H, w, o1 + at, LE).convertShape(S2I, I, 0);
            bits = half.lanewise(LSHL, 13).and(0x8fffe000).reinterpretAsFloats().mul(0x1p112f).reinterpretAsInts();
            b = xk.fma(bits.lanewise(OR, 0x7f800000, half.and(0x7c00).compare(EQ, 0x7c00)).reinterpretAsFloats(), b);
            half = (IntVector) ShortVector.fromMemorySegment(H, w, o2 + at, LE).convertShape(S2I, I, 0);
            bits = half.lanewise(LSHL, 13).and(0x8fffe000).reinterpretAsFloats().mul(0x1p112f).reinterpretAsInts();
            c = xk.fma(bits.lanewise(OR, 0x7f800000, half.and(0x7c00).compare(EQ, 0x7c00)).reinterpretAsFloats(), c);
            half = (IntVector) ShortVector.fromMemorySegment(H, w, o3 + at, LE).convertShape(S2I, I, 0);
            bits = half.lanewise(LSHL, 13).and(0x8fffe000).reinterpretAsFloats().mul(0x1p112f).reinterpretAsInts();
            d = xk.fma(bits.lanewise(OR, 0x7f800000, half.and(0x7c00).compare(EQ, 0x7c00)).reinterpretAsFloats(), d);
        }
        zero.add(a).intoMemorySegment(sums, so, LE);
        zero.add(b).intoMemorySegment(sums, so + V, LE);
        zero.add(c).intoMemorySegment(sums, so + 2 * V, LE);
        zero.add(d).intoMemorySegment(sums, so + 3 * V, LE);
    }

    /// Here the sum of a block is scaled, not each of its numbers: `Σ_blocks scale·(Σₖ q[k]·x[k])`. Two rows only: with four, C2 gives up
    /// on some of the conversions where a block takes four vectors (7 GB/s in cache instead of 20).
    static void int8(
            MemorySegment w, long o0, long o1, MemorySegment scales, long s0, long s1, MemorySegment x, long xo, int n,
            MemorySegment sums, long so) {
        FloatVector zero = FloatVector.zero(F);
        FloatVector a = zero, b = zero;
        for (int block = 0; block < n / Matrix.BLOCK; block++) {
            FloatVector p = zero, q = zero;
            for (int l = 0; l < Matrix.BLOCK; l += BYTES) {
                long at = (long) block * Matrix.BLOCK + l;
                ByteVector u = ByteVector.fromMemorySegment(B, w, o0 + at, LE), v = ByteVector.fromMemorySegment(B, w, o1 + at, LE);
                FloatVector xk = FloatVector.fromMemorySegment(F, x, xo + at * 4, LE);
                p = xk.fma((FloatVector) u.convertShape(B2F, F, 0), p);
                q = xk.fma((FloatVector) v.convertShape(B2F, F, 0), q);
                if (BYTES > L) {
                    xk = FloatVector.fromMemorySegment(F, x, xo + at * 4 + V, LE);
                    p = xk.fma((FloatVector) u.convertShape(B2F, F, 1), p);
                    q = xk.fma((FloatVector) v.convertShape(B2F, F, 1), q);
                }
            }
            a = p.fma(FloatVector.broadcast(F, scales.get(FLOAT, s0 + (long) block * 4)), a);
            b = q.fma(FloatVector.broadcast(F, scales.get(FLOAT, s1 + (long) block * 4)), b);
        }
        zero.add(a).intoMemorySegment(sums, so, LE);
        zero.add(b).intoMemorySegment(sums, so + V, LE);
    }

    /// 16 sums, 4 loads of x, one of w: 21 registers, so this is for the 32 of AVX-512; with 16 the JIT spills some.
    static void f32x4(MemorySegment w, long o0, long o1, long o2, long o3, MemorySegment x, long xo, long xRow, int n, MemorySegment sums,
            long so) {
        FloatVector zero = FloatVector.zero(F);
        FloatVector a0 = zero, a1 = zero, a2 = zero, a3 = zero, b0 = zero, b1 = zero, b2 = zero, b3 = zero;
        FloatVector c0 = zero, c1 = zero, c2 = zero, c3 = zero, d0 = zero, d1 = zero, d2 = zero, d3 = zero;
        long xo1 = xo + xRow, xo2 = xo + 2 * xRow, xo3 = xo + 3 * xRow;
        for (int k = 0; k < n; k += L) {
            long at = (long) k * 4;
            FloatVector x0 = FloatVector.fromMemorySegment(F, x, xo + at, LE), x1 = FloatVector.fromMemorySegment(F, x, xo1 + at, LE),
                    x2 = FloatVector.fromMemorySegment(F, x, xo2 + at, LE), x3 = FloatVector.fromMemorySegment(F, x, xo3 + at, LE);
            FloatVector row;
            row = FloatVector.fromMemorySegment(F, w, o0 + at, LE);
            a0 = x0.fma(row, a0);
            a1 = x1.fma(row, a1);
            a2 = x2.fma(row, a2);
            a3 = x3.fma(row, a3);
            row = FloatVector.fromMemorySegment(F, w, o1 + at, LE);
            b0 = x0.fma(row, b0);
            b1 = x1.fma(row, b1);
            b2 = x2.fma(row, b2);
            b3 = x3.fma(row, b3);
            row = FloatVector.fromMemorySegment(F, w, o2 + at, LE);
            c0 = x0.fma(row, c0);
            c1 = x1.fma(row, c1);
            c2 = x2.fma(row, c2);
            c3 = x3.fma(row, c3);
            row = FloatVector.fromMemorySegment(F, w, o3 + at, LE);
            d0 = x0.fma(row, d0);
            d1 = x1.fma(row, d1);
            d2 = x2.fma(row, d2);
            d3 = x3.fma(row, d3);
        }
        zero.add(a0).intoMemorySegment(sums, so, LE);
        zero.add(a1).intoMemorySegment(sums, so + V, LE);
        zero.add(a2).intoMemorySegment(sums, so + 2 * V, LE);
        zero.add(a3).intoMemorySegment(sums, so + 3 * V, LE);
        zero.add(b0).intoMemorySegment(sums, so + 4 * V, LE);
        zero.add(b1).intoMemorySegment(sums, so + 5 * V, LE);
        zero.add(b2).intoMemorySegment(sums, so + 6 * V, LE);
        zero.add(b3).intoMemorySegment(sums, so + 7 * V, LE);
        zero.add(c0).intoMemorySegment(sums, so + 8 * V, LE);
        zero.add(c1).intoMemorySegment(sums, so + 9 * V, LE);
        zero.add(c2).intoMemorySegment(sums, so + 10 * V, LE);
        zero.add(c3).intoMemorySegment(sums, so + 11 * V, LE);
        zero.add(d0).intoMemorySegment(sums, so + 12 * V, LE);
        zero.add(d1).intoMemorySegment(sums, so + 13 * V, LE);
        zero.add(d2).intoMemorySegment(sums, so + 14 * V, LE);
        zero.add(d3).intoMemorySegment(sums, so + 15 * V, LE);
    }

    static void fold(MemorySegment sums, MemorySegment to, MemorySegment workspace) {
        for (int i = 0; i < 16; i += L) {
            Transpose.block(sums, (long) i * V, V, workspace, 0, V); // now row l holds the l-th partial sum of each product
            FloatVector even = FloatVector.fromMemorySegment(F, workspace, 0, LE);
            FloatVector odd = FloatVector.fromMemorySegment(F, workspace, V, LE);
            for (int l = 2; l < L; l += 2) {
                even = FloatVector.fromMemorySegment(F, workspace, (long) l * V, LE).add(even);
                odd = FloatVector.fromMemorySegment(F, workspace, (long) l * V + V, LE).add(odd);
            }
            FloatVector.zero(F).add(even).add(odd).intoMemorySegment(to, (long) i * 4, LE);
        }
    }
}
