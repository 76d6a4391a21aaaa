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
/// - the operands in native memory, and called some thousand times with a short k before it is trusted with a long one (see [WarmUp]);
/// - a sum is stored by way of `zero.add`, see [Lanes];
/// - the result in an array. Stores to memory segments are long before they are optimised: 24 of them, in a JVM that has met segments on the
///   heap, are more than the first compiler (C1) takes, and what it has not compiled and counted, C2 does not compile well.
final class Tile {
    private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT_UNALIGNED;
    private static final VectorSpecies<Float> F = Lanes.F32;
    private static final ByteOrder LE = Lanes.ORDER;
    private static final int V = Lanes.BYTES;
    private static final int ROW = 2 * V;
    private static final int L = Lanes.LENGTH;
    private static final int COLS = 2 * L;

    private Tile() {}

    static void rows12(MemorySegment a, long ao, MemorySegment b, long bo, float[] t, int kc) {
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
        zero.add(s00).intoArray(t, 0);
        zero.add(s01).intoArray(t, L);
        zero.add(s10).intoArray(t, COLS);
        zero.add(s11).intoArray(t, COLS + L);
        zero.add(s20).intoArray(t, 2 * COLS);
        zero.add(s21).intoArray(t, 2 * COLS + L);
        zero.add(s30).intoArray(t, 3 * COLS);
        zero.add(s31).intoArray(t, 3 * COLS + L);
        zero.add(s40).intoArray(t, 4 * COLS);
        zero.add(s41).intoArray(t, 4 * COLS + L);
        zero.add(s50).intoArray(t, 5 * COLS);
        zero.add(s51).intoArray(t, 5 * COLS + L);
        zero.add(s60).intoArray(t, 6 * COLS);
        zero.add(s61).intoArray(t, 6 * COLS + L);
        zero.add(s70).intoArray(t, 7 * COLS);
        zero.add(s71).intoArray(t, 7 * COLS + L);
        zero.add(s80).intoArray(t, 8 * COLS);
        zero.add(s81).intoArray(t, 8 * COLS + L);
        zero.add(s90).intoArray(t, 9 * COLS);
        zero.add(s91).intoArray(t, 9 * COLS + L);
        zero.add(sA0).intoArray(t, 10 * COLS);
        zero.add(sA1).intoArray(t, 10 * COLS + L);
        zero.add(sB0).intoArray(t, 11 * COLS);
        zero.add(sB1).intoArray(t, 11 * COLS + L);
    }

    static void rows8(MemorySegment a, long ao, MemorySegment b, long bo, float[] t, int kc) {
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
        zero.add(s00).intoArray(t, 0);
        zero.add(s01).intoArray(t, L);
        zero.add(s10).intoArray(t, COLS);
        zero.add(s11).intoArray(t, COLS + L);
        zero.add(s20).intoArray(t, 2 * COLS);
        zero.add(s21).intoArray(t, 2 * COLS + L);
        zero.add(s30).intoArray(t, 3 * COLS);
        zero.add(s31).intoArray(t, 3 * COLS + L);
        zero.add(s40).intoArray(t, 4 * COLS);
        zero.add(s41).intoArray(t, 4 * COLS + L);
        zero.add(s50).intoArray(t, 5 * COLS);
        zero.add(s51).intoArray(t, 5 * COLS + L);
        zero.add(s60).intoArray(t, 6 * COLS);
        zero.add(s61).intoArray(t, 6 * COLS + L);
        zero.add(s70).intoArray(t, 7 * COLS);
        zero.add(s71).intoArray(t, 7 * COLS + L);
    }

    static void rows6(MemorySegment a, long ao, MemorySegment b, long bo, float[] t, int kc) {
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
        zero.add(s00).intoArray(t, 0);
        zero.add(s01).intoArray(t, L);
        zero.add(s10).intoArray(t, COLS);
        zero.add(s11).intoArray(t, COLS + L);
        zero.add(s20).intoArray(t, 2 * COLS);
        zero.add(s21).intoArray(t, 2 * COLS + L);
        zero.add(s30).intoArray(t, 3 * COLS);
        zero.add(s31).intoArray(t, 3 * COLS + L);
        zero.add(s40).intoArray(t, 4 * COLS);
        zero.add(s41).intoArray(t, 4 * COLS + L);
        zero.add(s50).intoArray(t, 5 * COLS);
        zero.add(s51).intoArray(t, 5 * COLS + L);
    }

    static void rows4(MemorySegment a, long ao, MemorySegment b, long bo, float[] t, int kc) {
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
        zero.add(s00).intoArray(t, 0);
        zero.add(s01).intoArray(t, L);
        zero.add(s10).intoArray(t, COLS);
        zero.add(s11).intoArray(t, COLS + L);
        zero.add(s20).intoArray(t, 2 * COLS);
        zero.add(s21).intoArray(t, 2 * COLS + L);
        zero.add(s30).intoArray(t, 3 * COLS);
        zero.add(s31).intoArray(t, 3 * COLS + L);
    }
}
