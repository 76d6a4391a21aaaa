package dev.graft.tensor.cpu;

import dev.graft.tensor.DType;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import jdk.incubator.vector.FloatVector;

/// Dot products of contiguous rows, for products with few rows: the weights are read once, in place, and nothing is packed.
///
/// ```
/// Σₗ sums[i, l] = Σₖ w[oᵢ, k]·x[k]      i < 4; sums: lanes l stay apart, Kernels.fold adds them
/// ```
/// Four rows of w at once, so that x is loaded once for them and four streams of memory are open. Two sums a row where registers allow,
/// since an FMA takes four cycles and two can start in each. Small methods of a loop and stores, for the reasons given in [Tile].
final class Dots {
    private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT_UNALIGNED;
    private static final int L = Lanes.LENGTH;
    private static final int V = Lanes.BYTES;

    private Dots() {}

    static void f32(MemorySegment w, long o0, long o1, long o2, long o3, MemorySegment x, long xo, int n, MemorySegment sums, long so) {
        FloatVector zero = FloatVector.zero(Lanes.F32);
        FloatVector a0 = zero, a1 = zero, b0 = zero, b1 = zero, c0 = zero, c1 = zero, d0 = zero, d1 = zero;
        for (int k = 0; k < n; k += 2 * L) {
            long at = (long) k * 4;
            FloatVector x0 = load(x, xo + at);
            FloatVector x1 = load(x, xo + at + V);
            a0 = x0.fma(load(w, o0 + at), a0);
            a1 = x1.fma(load(w, o0 + at + V), a1);
            b0 = x0.fma(load(w, o1 + at), b0);
            b1 = x1.fma(load(w, o1 + at + V), b1);
            c0 = x0.fma(load(w, o2 + at), c0);
            c1 = x1.fma(load(w, o2 + at + V), c1);
            d0 = x0.fma(load(w, o3 + at), d0);
            d1 = x1.fma(load(w, o3 + at + V), d1);
        }
        store(sums, so, a0.add(a1), b0.add(b1), c0.add(c1), d0.add(d1));
    }

    static void bf16(MemorySegment w, long o0, long o1, long o2, long o3, MemorySegment x, long xo, int n, MemorySegment sums, long so) {
        FloatVector zero = FloatVector.zero(Lanes.F32);
        FloatVector a0 = zero, a1 = zero, b0 = zero, b1 = zero, c0 = zero, c1 = zero, d0 = zero, d1 = zero;
        for (int k = 0; k < n; k += 2 * L) {
            long at = (long) k * 2;
            FloatVector x0 = load(x, xo + (long) k * 4);
            FloatVector x1 = load(x, xo + (long) k * 4 + V);
            a0 = x0.fma(Widen.bf16(w, o0 + at), a0);
            a1 = x1.fma(Widen.bf16(w, o0 + at + V / 2), a1);
            b0 = x0.fma(Widen.bf16(w, o1 + at), b0);
            b1 = x1.fma(Widen.bf16(w, o1 + at + V / 2), b1);
            c0 = x0.fma(Widen.bf16(w, o2 + at), c0);
            c1 = x1.fma(Widen.bf16(w, o2 + at + V / 2), c1);
            d0 = x0.fma(Widen.bf16(w, o3 + at), d0);
            d1 = x1.fma(Widen.bf16(w, o3 + at + V / 2), d1);
        }
        store(sums, so, a0.add(a1), b0.add(b1), c0.add(c1), d0.add(d1));
    }

    static void f16(MemorySegment w, long o0, long o1, long o2, long o3, MemorySegment x, long xo, int n, MemorySegment sums, long so) {
        FloatVector zero = FloatVector.zero(Lanes.F32);
        FloatVector a = zero, b = zero, c = zero, d = zero;
        for (int k = 0; k < n; k += L) {
            long at = (long) k * 2;
            FloatVector xk = load(x, xo + (long) k * 4);
            a = xk.fma(Widen.f16(w, o0 + at), a);
            b = xk.fma(Widen.f16(w, o1 + at), b);
            c = xk.fma(Widen.f16(w, o2 + at), c);
            d = xk.fma(Widen.f16(w, o3 + at), d);
        }
        store(sums, so, a, b, c, d);
    }

    /// Here the sum of a block is scaled, not each of its numbers: `Σ_blocks scale·(Σₖ q[k]·x[k])`.
    static void int8(
            MemorySegment w, long o0, long o1, long o2, long o3, MemorySegment scales, long s0, long s1, long s2, long s3,
            MemorySegment x, long xo, int n, MemorySegment sums, long so) {
        FloatVector zero = FloatVector.zero(Lanes.F32);
        FloatVector a = zero, b = zero, c = zero, d = zero;
        for (int block = 0; block < n / Matrix.BLOCK; block++) {
            long at = (long) block * Matrix.BLOCK;
            long xk = xo + (long) block * (4 * Matrix.BLOCK);
            long sk = (long) block * 4;
            a = blockDot(w, o0 + at, x, xk).fma(splat(scales, s0 + sk), a);
            b = blockDot(w, o1 + at, x, xk).fma(splat(scales, s1 + sk), b);
            c = blockDot(w, o2 + at, x, xk).fma(splat(scales, s2 + sk), c);
            d = blockDot(w, o3 + at, x, xk).fma(splat(scales, s3 + sk), d);
        }
        store(sums, so, a, b, c, d);
    }

    /// 16 sums, 4 loads of x, one of w: 21 registers, so this is for the 32 of AVX-512; with 16 the JIT spills some.
    static void f32x4(MemorySegment w, long o0, long o1, long o2, long o3, MemorySegment x, long xo, long xRow, int n, MemorySegment sums,
            long so) {
        FloatVector zero = FloatVector.zero(Lanes.F32);
        FloatVector a0 = zero, a1 = zero, a2 = zero, a3 = zero, b0 = zero, b1 = zero, b2 = zero, b3 = zero;
        FloatVector c0 = zero, c1 = zero, c2 = zero, c3 = zero, d0 = zero, d1 = zero, d2 = zero, d3 = zero;
        long xo1 = xo + xRow, xo2 = xo + 2 * xRow, xo3 = xo + 3 * xRow;
        for (int k = 0; k < n; k += L) {
            long at = (long) k * 4;
            FloatVector x0 = load(x, xo + at), x1 = load(x, xo1 + at), x2 = load(x, xo2 + at), x3 = load(x, xo3 + at);
            FloatVector row;
            row = load(w, o0 + at);
            a0 = x0.fma(row, a0);
            a1 = x1.fma(row, a1);
            a2 = x2.fma(row, a2);
            a3 = x3.fma(row, a3);
            row = load(w, o1 + at);
            b0 = x0.fma(row, b0);
            b1 = x1.fma(row, b1);
            b2 = x2.fma(row, b2);
            b3 = x3.fma(row, b3);
            row = load(w, o2 + at);
            c0 = x0.fma(row, c0);
            c1 = x1.fma(row, c1);
            c2 = x2.fma(row, c2);
            c3 = x3.fma(row, c3);
            row = load(w, o3 + at);
            d0 = x0.fma(row, d0);
            d1 = x1.fma(row, d1);
            d2 = x2.fma(row, d2);
            d3 = x3.fma(row, d3);
        }
        store(sums, so, a0, a1, a2, a3);
        store(sums, so + 4 * V, b0, b1, b2, b3);
        store(sums, so + 8 * V, c0, c1, c2, c3);
        store(sums, so + 12 * V, d0, d1, d2, d3);
    }

    static void fold(MemorySegment sums, MemorySegment to, MemorySegment workspace) {
        for (int i = 0; i < 16; i += L) {
            Transpose.block(sums, (long) i * V, V, workspace, 0, V); // now row l holds the l-th partial sum of each product
            FloatVector even = load(workspace, 0);
            FloatVector odd = load(workspace, V);
            for (int l = 2; l < L; l += 2) {
                even = even.add(load(workspace, (long) l * V));
                odd = odd.add(load(workspace, (long) l * V + V));
            }
            even.add(odd).intoMemorySegment(to, (long) i * 4, Lanes.ORDER);
        }
    }

    private static FloatVector blockDot(MemorySegment w, long at, MemorySegment x, long xo) {
        FloatVector sum = Widen.int8(w, at).mul(load(x, xo));
        for (int l = L; l < Matrix.BLOCK; l += L) {
            sum = Widen.int8(w, at + l).fma(load(x, xo + (long) l * 4), sum);
        }
        return sum;
    }

    private static FloatVector load(MemorySegment from, long at) {
        return FloatVector.fromMemorySegment(Lanes.F32, from, at, Lanes.ORDER);
    }

    private static FloatVector splat(MemorySegment from, long at) {
        return FloatVector.broadcast(Lanes.F32, from.get(FLOAT, at));
    }

    private static void store(MemorySegment sums, long so, FloatVector a, FloatVector b, FloatVector c, FloatVector d) {
        a.intoMemorySegment(sums, so, Lanes.ORDER);
        b.intoMemorySegment(sums, so + V, Lanes.ORDER);
        c.intoMemorySegment(sums, so + 2 * V, Lanes.ORDER);
        d.intoMemorySegment(sums, so + 3 * V, Lanes.ORDER);
    }
}
