package dev.graft.tensor.cpu;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import jdk.incubator.vector.DoubleVector;

/// The register tile in f64; see [Tile] for why it looks as it does.
///
/// ```
/// t[i, j] = Σₖ a[k, i]·b[k, j]      i < 4; j < two vectors
/// ```
final class TileF64 {
    private static final ValueLayout.OfDouble DOUBLE = ValueLayout.JAVA_DOUBLE_UNALIGNED;
    private static final int V = Lanes.BYTES;
    private static final int ROW = 2 * V;
    private static final int A_STEP = Kernels.TILE_ROWS_F64 * 8;

    private TileF64() {}

    static void rows4(MemorySegment a, long ao, MemorySegment b, long bo, MemorySegment t, long to, int kc) {
        DoubleVector zero = DoubleVector.zero(Lanes.F64);
        DoubleVector s00 = zero, s01 = zero, s10 = zero, s11 = zero, s20 = zero, s21 = zero, s30 = zero, s31 = zero;
        for (int k = 0; k < kc; k++) {
            DoubleVector b0 = DoubleVector.fromMemorySegment(Lanes.F64, b, bo + (long) k * ROW, Lanes.ORDER);
            DoubleVector b1 = DoubleVector.fromMemorySegment(Lanes.F64, b, bo + (long) k * ROW + V, Lanes.ORDER);
            DoubleVector x;
            x = splat(a, ao + (long) k * A_STEP);
            s00 = x.fma(b0, s00);
            s01 = x.fma(b1, s01);
            x = splat(a, ao + (long) k * A_STEP + 8);
            s10 = x.fma(b0, s10);
            s11 = x.fma(b1, s11);
            x = splat(a, ao + (long) k * A_STEP + 16);
            s20 = x.fma(b0, s20);
            s21 = x.fma(b1, s21);
            x = splat(a, ao + (long) k * A_STEP + 24);
            s30 = x.fma(b0, s30);
            s31 = x.fma(b1, s31);
        }
        store(t, to, s00, s01);
        store(t, to + ROW, s10, s11);
        store(t, to + 2 * ROW, s20, s21);
        store(t, to + 3 * ROW, s30, s31);
    }

    private static DoubleVector splat(MemorySegment from, long at) {
        return DoubleVector.broadcast(Lanes.F64, from.get(DOUBLE, at));
    }

    private static void store(MemorySegment t, long to, DoubleVector s0, DoubleVector s1) {
        DoubleVector zero = DoubleVector.zero(Lanes.F64);
        zero.add(s0).intoMemorySegment(t, to, Lanes.ORDER);
        zero.add(s1).intoMemorySegment(t, to + V, Lanes.ORDER);
    }
}
