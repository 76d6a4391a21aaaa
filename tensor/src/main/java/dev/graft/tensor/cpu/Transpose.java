package dev.graft.tensor.cpu;

import java.lang.foreign.MemorySegment;
import java.util.function.IntUnaryOperator;
import java.util.stream.IntStream;
import jdk.incubator.vector.IntVector;

/// Transposes a square block of 32-bit numbers, as many rows as a vector has lanes, in registers.
///
/// ```
/// to[j, i] = from[i, j]      i, j < 16, 8 or 4
/// ```
/// In log₂(lanes) rounds, row i and row i+d exchange the off-diagonal quarters of their 2d × 2d blocks (d = 8, 4, 2, 1): two selections
/// out of two registers, one instruction each (`vpermt2d`).
final class Transpose {
    private static final IntVector LOW8 = low(8);
    private static final IntVector HIGH8 = high(8);
    private static final IntVector LOW4 = low(4);
    private static final IntVector HIGH4 = high(4);
    private static final IntVector LOW2 = low(2);
    private static final IntVector HIGH2 = high(2);
    private static final IntVector LOW1 = low(1);
    private static final IntVector HIGH1 = high(1);

    private Transpose() {}

    static void block(MemorySegment from, long fo, long fromRow, MemorySegment to, long too, long toRow) {
        switch (Lanes.LENGTH) {
            case 16 -> lanes16(from, fo, fromRow, to, too, toRow);
            case 8 -> lanes8(from, fo, fromRow, to, too, toRow);
            default -> lanes4(from, fo, fromRow, to, too, toRow);
        }
    }

    private static void lanes16(MemorySegment from, long fo, long fromRow, MemorySegment to, long too, long toRow) {
        IntVector r0 = load(from, fo);
        IntVector r1 = load(from, fo + fromRow);
        IntVector r2 = load(from, fo + 2 * fromRow);
        IntVector r3 = load(from, fo + 3 * fromRow);
        IntVector r4 = load(from, fo + 4 * fromRow);
        IntVector r5 = load(from, fo + 5 * fromRow);
        IntVector r6 = load(from, fo + 6 * fromRow);
        IntVector r7 = load(from, fo + 7 * fromRow);
        IntVector r8 = load(from, fo + 8 * fromRow);
        IntVector r9 = load(from, fo + 9 * fromRow);
        IntVector rA = load(from, fo + 10 * fromRow);
        IntVector rB = load(from, fo + 11 * fromRow);
        IntVector rC = load(from, fo + 12 * fromRow);
        IntVector rD = load(from, fo + 13 * fromRow);
        IntVector rE = load(from, fo + 14 * fromRow);
        IntVector rF = load(from, fo + 15 * fromRow);
        IntVector t;
        t = LOW8.selectFrom(r0, r8);
        r8 = HIGH8.selectFrom(r0, r8);
        r0 = t;
        t = LOW8.selectFrom(r1, r9);
        r9 = HIGH8.selectFrom(r1, r9);
        r1 = t;
        t = LOW8.selectFrom(r2, rA);
        rA = HIGH8.selectFrom(r2, rA);
        r2 = t;
        t = LOW8.selectFrom(r3, rB);
        rB = HIGH8.selectFrom(r3, rB);
        r3 = t;
        t = LOW8.selectFrom(r4, rC);
        rC = HIGH8.selectFrom(r4, rC);
        r4 = t;
        t = LOW8.selectFrom(r5, rD);
        rD = HIGH8.selectFrom(r5, rD);
        r5 = t;
        t = LOW8.selectFrom(r6, rE);
        rE = HIGH8.selectFrom(r6, rE);
        r6 = t;
        t = LOW8.selectFrom(r7, rF);
        rF = HIGH8.selectFrom(r7, rF);
        r7 = t;
        t = LOW4.selectFrom(r0, r4);
        r4 = HIGH4.selectFrom(r0, r4);
        r0 = t;
        t = LOW4.selectFrom(r1, r5);
        r5 = HIGH4.selectFrom(r1, r5);
        r1 = t;
        t = LOW4.selectFrom(r2, r6);
        r6 = HIGH4.selectFrom(r2, r6);
        r2 = t;
        t = LOW4.selectFrom(r3, r7);
        r7 = HIGH4.selectFrom(r3, r7);
        r3 = t;
        t = LOW4.selectFrom(r8, rC);
        rC = HIGH4.selectFrom(r8, rC);
        r8 = t;
        t = LOW4.selectFrom(r9, rD);
        rD = HIGH4.selectFrom(r9, rD);
        r9 = t;
        t = LOW4.selectFrom(rA, rE);
        rE = HIGH4.selectFrom(rA, rE);
        rA = t;
        t = LOW4.selectFrom(rB, rF);
        rF = HIGH4.selectFrom(rB, rF);
        rB = t;
        t = LOW2.selectFrom(r0, r2);
        r2 = HIGH2.selectFrom(r0, r2);
        r0 = t;
        t = LOW2.selectFrom(r1, r3);
        r3 = HIGH2.selectFrom(r1, r3);
        r1 = t;
        t = LOW2.selectFrom(r4, r6);
        r6 = HIGH2.selectFrom(r4, r6);
        r4 = t;
        t = LOW2.selectFrom(r5, r7);
        r7 = HIGH2.selectFrom(r5, r7);
        r5 = t;
        t = LOW2.selectFrom(r8, rA);
        rA = HIGH2.selectFrom(r8, rA);
        r8 = t;
        t = LOW2.selectFrom(r9, rB);
        rB = HIGH2.selectFrom(r9, rB);
        r9 = t;
        t = LOW2.selectFrom(rC, rE);
        rE = HIGH2.selectFrom(rC, rE);
        rC = t;
        t = LOW2.selectFrom(rD, rF);
        rF = HIGH2.selectFrom(rD, rF);
        rD = t;
        t = LOW1.selectFrom(r0, r1);
        r1 = HIGH1.selectFrom(r0, r1);
        r0 = t;
        t = LOW1.selectFrom(r2, r3);
        r3 = HIGH1.selectFrom(r2, r3);
        r2 = t;
        t = LOW1.selectFrom(r4, r5);
        r5 = HIGH1.selectFrom(r4, r5);
        r4 = t;
        t = LOW1.selectFrom(r6, r7);
        r7 = HIGH1.selectFrom(r6, r7);
        r6 = t;
        t = LOW1.selectFrom(r8, r9);
        r9 = HIGH1.selectFrom(r8, r9);
        r8 = t;
        t = LOW1.selectFrom(rA, rB);
        rB = HIGH1.selectFrom(rA, rB);
        rA = t;
        t = LOW1.selectFrom(rC, rD);
        rD = HIGH1.selectFrom(rC, rD);
        rC = t;
        t = LOW1.selectFrom(rE, rF);
        rF = HIGH1.selectFrom(rE, rF);
        rE = t;
        r0.intoMemorySegment(to, too, Lanes.ORDER);
        r1.intoMemorySegment(to, too + toRow, Lanes.ORDER);
        r2.intoMemorySegment(to, too + 2 * toRow, Lanes.ORDER);
        r3.intoMemorySegment(to, too + 3 * toRow, Lanes.ORDER);
        r4.intoMemorySegment(to, too + 4 * toRow, Lanes.ORDER);
        r5.intoMemorySegment(to, too + 5 * toRow, Lanes.ORDER);
        r6.intoMemorySegment(to, too + 6 * toRow, Lanes.ORDER);
        r7.intoMemorySegment(to, too + 7 * toRow, Lanes.ORDER);
        r8.intoMemorySegment(to, too + 8 * toRow, Lanes.ORDER);
        r9.intoMemorySegment(to, too + 9 * toRow, Lanes.ORDER);
        rA.intoMemorySegment(to, too + 10 * toRow, Lanes.ORDER);
        rB.intoMemorySegment(to, too + 11 * toRow, Lanes.ORDER);
        rC.intoMemorySegment(to, too + 12 * toRow, Lanes.ORDER);
        rD.intoMemorySegment(to, too + 13 * toRow, Lanes.ORDER);
        rE.intoMemorySegment(to, too + 14 * toRow, Lanes.ORDER);
        rF.intoMemorySegment(to, too + 15 * toRow, Lanes.ORDER);
    }

    private static void lanes8(MemorySegment from, long fo, long fromRow, MemorySegment to, long too, long toRow) {
        IntVector r0 = load(from, fo);
        IntVector r1 = load(from, fo + fromRow);
        IntVector r2 = load(from, fo + 2 * fromRow);
        IntVector r3 = load(from, fo + 3 * fromRow);
        IntVector r4 = load(from, fo + 4 * fromRow);
        IntVector r5 = load(from, fo + 5 * fromRow);
        IntVector r6 = load(from, fo + 6 * fromRow);
        IntVector r7 = load(from, fo + 7 * fromRow);
        IntVector t;
        t = LOW4.selectFrom(r0, r4);
        r4 = HIGH4.selectFrom(r0, r4);
        r0 = t;
        t = LOW4.selectFrom(r1, r5);
        r5 = HIGH4.selectFrom(r1, r5);
        r1 = t;
        t = LOW4.selectFrom(r2, r6);
        r6 = HIGH4.selectFrom(r2, r6);
        r2 = t;
        t = LOW4.selectFrom(r3, r7);
        r7 = HIGH4.selectFrom(r3, r7);
        r3 = t;
        t = LOW2.selectFrom(r0, r2);
        r2 = HIGH2.selectFrom(r0, r2);
        r0 = t;
        t = LOW2.selectFrom(r1, r3);
        r3 = HIGH2.selectFrom(r1, r3);
        r1 = t;
        t = LOW2.selectFrom(r4, r6);
        r6 = HIGH2.selectFrom(r4, r6);
        r4 = t;
        t = LOW2.selectFrom(r5, r7);
        r7 = HIGH2.selectFrom(r5, r7);
        r5 = t;
        t = LOW1.selectFrom(r0, r1);
        r1 = HIGH1.selectFrom(r0, r1);
        r0 = t;
        t = LOW1.selectFrom(r2, r3);
        r3 = HIGH1.selectFrom(r2, r3);
        r2 = t;
        t = LOW1.selectFrom(r4, r5);
        r5 = HIGH1.selectFrom(r4, r5);
        r4 = t;
        t = LOW1.selectFrom(r6, r7);
        r7 = HIGH1.selectFrom(r6, r7);
        r6 = t;
        r0.intoMemorySegment(to, too, Lanes.ORDER);
        r1.intoMemorySegment(to, too + toRow, Lanes.ORDER);
        r2.intoMemorySegment(to, too + 2 * toRow, Lanes.ORDER);
        r3.intoMemorySegment(to, too + 3 * toRow, Lanes.ORDER);
        r4.intoMemorySegment(to, too + 4 * toRow, Lanes.ORDER);
        r5.intoMemorySegment(to, too + 5 * toRow, Lanes.ORDER);
        r6.intoMemorySegment(to, too + 6 * toRow, Lanes.ORDER);
        r7.intoMemorySegment(to, too + 7 * toRow, Lanes.ORDER);
    }

    private static void lanes4(MemorySegment from, long fo, long fromRow, MemorySegment to, long too, long toRow) {
        IntVector r0 = load(from, fo);
        IntVector r1 = load(from, fo + fromRow);
        IntVector r2 = load(from, fo + 2 * fromRow);
        IntVector r3 = load(from, fo + 3 * fromRow);
        IntVector t;
        t = LOW2.selectFrom(r0, r2);
        r2 = HIGH2.selectFrom(r0, r2);
        r0 = t;
        t = LOW2.selectFrom(r1, r3);
        r3 = HIGH2.selectFrom(r1, r3);
        r1 = t;
        t = LOW1.selectFrom(r0, r1);
        r1 = HIGH1.selectFrom(r0, r1);
        r0 = t;
        t = LOW1.selectFrom(r2, r3);
        r3 = HIGH1.selectFrom(r2, r3);
        r2 = t;
        r0.intoMemorySegment(to, too, Lanes.ORDER);
        r1.intoMemorySegment(to, too + toRow, Lanes.ORDER);
        r2.intoMemorySegment(to, too + 2 * toRow, Lanes.ORDER);
        r3.intoMemorySegment(to, too + 3 * toRow, Lanes.ORDER);
    }

    private static IntVector load(MemorySegment from, long at) {
        return IntVector.fromMemorySegment(Lanes.I32, from, at, Lanes.ORDER);
    }

    /// Where the new row i takes its lanes from: its own where the bit d of the lane is clear, else row i+d, d lanes down.
    private static IntVector low(int d) {
        return select(lane -> (lane & d) == 0 ? lane : Lanes.LENGTH + lane - d, d);
    }

    /// The same for the new row i+d: row i, d lanes up, or its own.
    private static IntVector high(int d) {
        return select(lane -> (lane & d) == 0 ? lane + d : Lanes.LENGTH + lane, d);
    }

    private static IntVector select(IntUnaryOperator source, int d) {
        int[] lanes = IntStream.range(0, Lanes.LENGTH).map(d < Lanes.LENGTH ? source : lane -> lane).toArray();
        return IntVector.fromArray(Lanes.I32, lanes, 0);
    }
}
