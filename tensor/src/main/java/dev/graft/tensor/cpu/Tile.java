package dev.graft.tensor.cpu;

import static dev.graft.tensor.cpu.Kernels.A_ROW;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorSpecies;

/// The register tile of the matrix product.
///
/// ```
/// t[i, j] = Σₖ a[i, k]·b[k, j]      i < 12, 8, 6 or 4; j < two vectors
/// ```
/// One step of k loads two vectors of b and broadcasts one number of each row of a; the sums stay in registers: 12 rows make 24 sums, and
/// with b and the broadcast 27 of the 32 registers of AVX-512 and NEON. With the 16 registers of AVX2, 6 rows make 12 sums.
///
/// The shape of these methods is what the JIT (C2) compiles well, found by measuring; on AVX-512 the loop is 47 instructions for 24
/// multiply-adds, without a spill or a bounds check:
/// - a loop and stores, nothing else. Reading C here, a branch, or unrolling by hand makes it spill;
/// - every address is `base + k·4` or `base + k·(power of two)` plus a constant, else the bounds checks stay in the loop;
/// - native memory only, and called some thousand times with a short k before it is trusted with a long one (see [WarmUp]).
final class Tile {
    private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT_UNALIGNED;
    private static final VectorSpecies<Float> F = Lanes.F32;
    private static final ByteOrder LE = Lanes.ORDER;
    private static final int V = Lanes.BYTES;
    private static final int ROW = 2 * V;

    private Tile() {}

    static void rows12(MemorySegment a, long ao, MemorySegment b, long bo, MemorySegment t, int kc) {
        FloatVector zero = FloatVector.zero(F);
        FloatVector s00 = zero, s01 = zero, s10 = zero, s11 = zero, s20 = zero, s21 = zero, s30 = zero, s31 = zero;
        FloatVector s40 = zero, s41 = zero, s50 = zero, s51 = zero, s60 = zero, s61 = zero, s70 = zero, s71 = zero;
        FloatVector s80 = zero, s81 = zero, s90 = zero, s91 = zero, sA0 = zero, sA1 = zero, sB0 = zero, sB1 = zero;
        for (int k = 0; k < kc; k++) {
            FloatVector b0 = FloatVector.fromMemorySegment(F, b, bo + (long) k * ROW, LE);
            FloatVector b1 = FloatVector.fromMemorySegment(F, b, bo + (long) k * ROW + V, LE);
            FloatVector x;
            x = FloatVector.broadcast(F, a.get(FLOAT, ao + (long) k * 4));
            s00 = x.fma(b0, s00);
            s01 = x.fma(b1, s01);
            x = FloatVector.broadcast(F, a.get(FLOAT, ao + (long) k * 4 + A_ROW));
            s10 = x.fma(b0, s10);
            s11 = x.fma(b1, s11);
            x = FloatVector.broadcast(F, a.get(FLOAT, ao + (long) k * 4 + 2 * A_ROW));
            s20 = x.fma(b0, s20);
            s21 = x.fma(b1, s21);
            x = FloatVector.broadcast(F, a.get(FLOAT, ao + (long) k * 4 + 3 * A_ROW));
            s30 = x.fma(b0, s30);
            s31 = x.fma(b1, s31);
            x = FloatVector.broadcast(F, a.get(FLOAT, ao + (long) k * 4 + 4 * A_ROW));
            s40 = x.fma(b0, s40);
            s41 = x.fma(b1, s41);
            x = FloatVector.broadcast(F, a.get(FLOAT, ao + (long) k * 4 + 5 * A_ROW));
            s50 = x.fma(b0, s50);
            s51 = x.fma(b1, s51);
            x = FloatVector.broadcast(F, a.get(FLOAT, ao + (long) k * 4 + 6 * A_ROW));
            s60 = x.fma(b0, s60);
            s61 = x.fma(b1, s61);
            x = FloatVector.broadcast(F, a.get(FLOAT, ao + (long) k * 4 + 7 * A_ROW));
            s70 = x.fma(b0, s70);
            s71 = x.fma(b1, s71);
            x = FloatVector.broadcast(F, a.get(FLOAT, ao + (long) k * 4 + 8 * A_ROW));
            s80 = x.fma(b0, s80);
            s81 = x.fma(b1, s81);
            x = FloatVector.broadcast(F, a.get(FLOAT, ao + (long) k * 4 + 9 * A_ROW));
            s90 = x.fma(b0, s90);
            s91 = x.fma(b1, s91);
            x = FloatVector.broadcast(F, a.get(FLOAT, ao + (long) k * 4 + 10 * A_ROW));
            sA0 = x.fma(b0, sA0);
            sA1 = x.fma(b1, sA1);
            x = FloatVector.broadcast(F, a.get(FLOAT, ao + (long) k * 4 + 11 * A_ROW));
            sB0 = x.fma(b0, sB0);
            sB1 = x.fma(b1, sB1);
        }
        s00.intoMemorySegment(t, 0, LE);
        s01.intoMemorySegment(t, V, LE);
        s10.intoMemorySegment(t, ROW, LE);
        s11.intoMemorySegment(t, ROW + V, LE);
        s20.intoMemorySegment(t, 2 * ROW, LE);
        s21.intoMemorySegment(t, 2 * ROW + V, LE);
        s30.intoMemorySegment(t, 3 * ROW, LE);
        s31.intoMemorySegment(t, 3 * ROW + V, LE);
        s40.intoMemorySegment(t, 4 * ROW, LE);
        s41.intoMemorySegment(t, 4 * ROW + V, LE);
        s50.intoMemorySegment(t, 5 * ROW, LE);
        s51.intoMemorySegment(t, 5 * ROW + V, LE);
        s60.intoMemorySegment(t, 6 * ROW, LE);
        s61.intoMemorySegment(t, 6 * ROW + V, LE);
        s70.intoMemorySegment(t, 7 * ROW, LE);
        s71.intoMemorySegment(t, 7 * ROW + V, LE);
        s80.intoMemorySegment(t, 8 * ROW, LE);
        s81.intoMemorySegment(t, 8 * ROW + V, LE);
        s90.intoMemorySegment(t, 9 * ROW, LE);
        s91.intoMemorySegment(t, 9 * ROW + V, LE);
        sA0.intoMemorySegment(t, 10 * ROW, LE);
        sA1.intoMemorySegment(t, 10 * ROW + V, LE);
        sB0.intoMemorySegment(t, 11 * ROW, LE);
        sB1.intoMemorySegment(t, 11 * ROW + V, LE);
    }

    static void rows8(MemorySegment a, long ao, MemorySegment b, long bo, MemorySegment t, int kc) {
        FloatVector zero = FloatVector.zero(F);
        FloatVector s00 = zero, s01 = zero, s10 = zero, s11 = zero, s20 = zero, s21 = zero, s30 = zero, s31 = zero;
        FloatVector s40 = zero, s41 = zero, s50 = zero, s51 = zero, s60 = zero, s61 = zero, s70 = zero, s71 = zero;
        for (int k = 0; k < kc; k++) {
            FloatVector b0 = FloatVector.fromMemorySegment(F, b, bo + (long) k * ROW, LE);
            FloatVector b1 = FloatVector.fromMemorySegment(F, b, bo + (long) k * ROW + V, LE);
            FloatVector x;
            x = FloatVector.broadcast(F, a.get(FLOAT, ao + (long) k * 4));
            s00 = x.fma(b0, s00);
            s01 = x.fma(b1, s01);
            x = FloatVector.broadcast(F, a.get(FLOAT, ao + (long) k * 4 + A_ROW));
            s10 = x.fma(b0, s10);
            s11 = x.fma(b1, s11);
            x = FloatVector.broadcast(F, a.get(FLOAT, ao + (long) k * 4 + 2 * A_ROW));
            s20 = x.fma(b0, s20);
            s21 = x.fma(b1, s21);
            x = FloatVector.broadcast(F, a.get(FLOAT, ao + (long) k * 4 + 3 * A_ROW));
            s30 = x.fma(b0, s30);
            s31 = x.fma(b1, s31);
            x = FloatVector.broadcast(F, a.get(FLOAT, ao + (long) k * 4 + 4 * A_ROW));
            s40 = x.fma(b0, s40);
            s41 = x.fma(b1, s41);
            x = FloatVector.broadcast(F, a.get(FLOAT, ao + (long) k * 4 + 5 * A_ROW));
            s50 = x.fma(b0, s50);
            s51 = x.fma(b1, s51);
            x = FloatVector.broadcast(F, a.get(FLOAT, ao + (long) k * 4 + 6 * A_ROW));
            s60 = x.fma(b0, s60);
            s61 = x.fma(b1, s61);
            x = FloatVector.broadcast(F, a.get(FLOAT, ao + (long) k * 4 + 7 * A_ROW));
            s70 = x.fma(b0, s70);
            s71 = x.fma(b1, s71);
        }
        s00.intoMemorySegment(t, 0, LE);
        s01.intoMemorySegment(t, V, LE);
        s10.intoMemorySegment(t, ROW, LE);
        s11.intoMemorySegment(t, ROW + V, LE);
        s20.intoMemorySegment(t, 2 * ROW, LE);
        s21.intoMemorySegment(t, 2 * ROW + V, LE);
        s30.intoMemorySegment(t, 3 * ROW, LE);
        s31.intoMemorySegment(t, 3 * ROW + V, LE);
        s40.intoMemorySegment(t, 4 * ROW, LE);
        s41.intoMemorySegment(t, 4 * ROW + V, LE);
        s50.intoMemorySegment(t, 5 * ROW, LE);
        s51.intoMemorySegment(t, 5 * ROW + V, LE);
        s60.intoMemorySegment(t, 6 * ROW, LE);
        s61.intoMemorySegment(t, 6 * ROW + V, LE);
        s70.intoMemorySegment(t, 7 * ROW, LE);
        s71.intoMemorySegment(t, 7 * ROW + V, LE);
    }

    static void rows6(MemorySegment a, long ao, MemorySegment b, long bo, MemorySegment t, int kc) {
        FloatVector zero = FloatVector.zero(F);
        FloatVector s00 = zero, s01 = zero, s10 = zero, s11 = zero, s20 = zero, s21 = zero, s30 = zero, s31 = zero;
        FloatVector s40 = zero, s41 = zero, s50 = zero, s51 = zero;
        for (int k = 0; k < kc; k++) {
            FloatVector b0 = FloatVector.fromMemorySegment(F, b, bo + (long) k * ROW, LE);
            FloatVector b1 = FloatVector.fromMemorySegment(F, b, bo + (long) k * ROW + V, LE);
            FloatVector x;
            x = FloatVector.broadcast(F, a.get(FLOAT, ao + (long) k * 4));
            s00 = x.fma(b0, s00);
            s01 = x.fma(b1, s01);
            x = FloatVector.broadcast(F, a.get(FLOAT, ao + (long) k * 4 + A_ROW));
            s10 = x.fma(b0, s10);
            s11 = x.fma(b1, s11);
            x = FloatVector.broadcast(F, a.get(FLOAT, ao + (long) k * 4 + 2 * A_ROW));
            s20 = x.fma(b0, s20);
            s21 = x.fma(b1, s21);
            x = FloatVector.broadcast(F, a.get(FLOAT, ao + (long) k * 4 + 3 * A_ROW));
            s30 = x.fma(b0, s30);
            s31 = x.fma(b1, s31);
            x = FloatVector.broadcast(F, a.get(FLOAT, ao + (long) k * 4 + 4 * A_ROW));
            s40 = x.fma(b0, s40);
            s41 = x.fma(b1, s41);
            x = FloatVector.broadcast(F, a.get(FLOAT, ao + (long) k * 4 + 5 * A_ROW));
            s50 = x.fma(b0, s50);
            s51 = x.fma(b1, s51);
        }
        s00.intoMemorySegment(t, 0, LE);
        s01.intoMemorySegment(t, V, LE);
        s10.intoMemorySegment(t, ROW, LE);
        s11.intoMemorySegment(t, ROW + V, LE);
        s20.intoMemorySegment(t, 2 * ROW, LE);
        s21.intoMemorySegment(t, 2 * ROW + V, LE);
        s30.intoMemorySegment(t, 3 * ROW, LE);
        s31.intoMemorySegment(t, 3 * ROW + V, LE);
        s40.intoMemorySegment(t, 4 * ROW, LE);
        s41.intoMemorySegment(t, 4 * ROW + V, LE);
        s50.intoMemorySegment(t, 5 * ROW, LE);
        s51.intoMemorySegment(t, 5 * ROW + V, LE);
    }

    static void rows4(MemorySegment a, long ao, MemorySegment b, long bo, MemorySegment t, int kc) {
        FloatVector zero = FloatVector.zero(F);
        FloatVector s00 = zero, s01 = zero, s10 = zero, s11 = zero, s20 = zero, s21 = zero, s30 = zero, s31 = zero;
        for (int k = 0; k < kc; k++) {
            FloatVector b0 = FloatVector.fromMemorySegment(F, b, bo + (long) k * ROW, LE);
            FloatVector b1 = FloatVector.fromMemorySegment(F, b, bo + (long) k * ROW + V, LE);
            FloatVector x;
            x = FloatVector.broadcast(F, a.get(FLOAT, ao + (long) k * 4));
            s00 = x.fma(b0, s00);
            s01 = x.fma(b1, s01);
            x = FloatVector.broadcast(F, a.get(FLOAT, ao + (long) k * 4 + A_ROW));
            s10 = x.fma(b0, s10);
            s11 = x.fma(b1, s11);
            x = FloatVector.broadcast(F, a.get(FLOAT, ao + (long) k * 4 + 2 * A_ROW));
            s20 = x.fma(b0, s20);
            s21 = x.fma(b1, s21);
            x = FloatVector.broadcast(F, a.get(FLOAT, ao + (long) k * 4 + 3 * A_ROW));
            s30 = x.fma(b0, s30);
            s31 = x.fma(b1, s31);
        }
        s00.intoMemorySegment(t, 0, LE);
        s01.intoMemorySegment(t, V, LE);
        s10.intoMemorySegment(t, ROW, LE);
        s11.intoMemorySegment(t, ROW + V, LE);
        s20.intoMemorySegment(t, 2 * ROW, LE);
        s21.intoMemorySegment(t, 2 * ROW + V, LE);
        s30.intoMemorySegment(t, 3 * ROW, LE);
        s31.intoMemorySegment(t, 3 * ROW + V, LE);
    }
}
