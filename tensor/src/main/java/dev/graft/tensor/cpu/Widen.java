package dev.graft.tensor.cpu;

import static jdk.incubator.vector.VectorOperators.B2F;
import static jdk.incubator.vector.VectorOperators.EQ;
import static jdk.incubator.vector.VectorOperators.LSHL;
import static jdk.incubator.vector.VectorOperators.OR;
import static jdk.incubator.vector.VectorOperators.ZERO_EXTEND_S2I;

import dev.graft.tensor.DType;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import jdk.incubator.vector.ByteVector;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.ShortVector;

/// Storage formats of weights to f32, a vector at a time. Every conversion is exact.
///
/// ```
/// bf16   the upper half of an f32: shift left by 16
/// f16    1 sign, 5 exponent, 10 mantissa bits: shift exponent and mantissa into place, then multiply by 2¹¹² = 2^(127−15), which also
///        makes subnormals right; an exponent of all ones stays all ones
/// int8   convert, times the scale of the block
/// ```
final class Widen {
    private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT_UNALIGNED;
    private static final ValueLayout.OfShort SHORT = ValueLayout.JAVA_SHORT_UNALIGNED;
    private static final int L = Lanes.LENGTH;

    private Widen() {}

    static void rows(DType type, MemorySegment from, long fo, long fromRow, MemorySegment to, long too, long toRow, int rows, int n) {
        switch (type) {
            case F32 -> {
                if (n == 2 * L) {
                    twoVectors(from, fo, fromRow, to, too, toRow, rows);
                } else {
                    for (int i = 0; i < rows; i++) {
                        MemorySegment.copy(from, fo + i * fromRow, to, too + i * toRow, n * 4L);
                    }
                }
            }
            case BF16 -> {
                if (n == 2 * L) {
                    twoVectorsBf16(from, fo, fromRow, to, too, toRow, rows);
                } else {
                    for (int i = 0; i < rows; i++) {
                        bf16(from, fo + i * fromRow, to, too + i * toRow, n);
                    }
                }
            }
            case F16 -> {
                if (n == 2 * L) {
                    twoVectorsF16(from, fo, fromRow, to, too, toRow, rows);
                } else {
                    for (int i = 0; i < rows; i++) {
                        f16(from, fo + i * fromRow, to, too + i * toRow, n);
                    }
                }
            }
            case F64, I64, I32, I8 -> throw new AssertionError(type);
        }
    }

    /// Rows of a panel of B.
    private static void twoVectors(MemorySegment from, long fo, long fromRow, MemorySegment to, long too, long toRow, int rows) {
        for (int i = 0; i < rows; i++) {
            FloatVector.fromMemorySegment(Lanes.F32, from, fo + i * fromRow, Lanes.ORDER)
                    .intoMemorySegment(to, too + i * toRow, Lanes.ORDER);
            FloatVector.fromMemorySegment(Lanes.F32, from, fo + i * fromRow + Lanes.BYTES, Lanes.ORDER)
                    .intoMemorySegment(to, too + i * toRow + Lanes.BYTES, Lanes.ORDER);
        }
    }

    private static void twoVectorsBf16(MemorySegment from, long fo, long fromRow, MemorySegment to, long too, long toRow, int rows) {
        for (int i = 0; i < rows; i++) {
            bf16(from, fo + i * fromRow).intoMemorySegment(to, too + i * toRow, Lanes.ORDER);
            bf16(from, fo + i * fromRow + Lanes.BYTES / 2).intoMemorySegment(to, too + i * toRow + Lanes.BYTES, Lanes.ORDER);
        }
    }

    private static void twoVectorsF16(MemorySegment from, long fo, long fromRow, MemorySegment to, long too, long toRow, int rows) {
        for (int i = 0; i < rows; i++) {
            f16(from, fo + i * fromRow).intoMemorySegment(to, too + i * toRow, Lanes.ORDER);
            f16(from, fo + i * fromRow + Lanes.BYTES / 2).intoMemorySegment(to, too + i * toRow + Lanes.BYTES, Lanes.ORDER);
        }
    }

    private static void bf16(MemorySegment from, long fo, MemorySegment to, long too, int n) {
        int k = 0;
        for (; k <= n - L; k += L) {
            bf16(from, fo + (long) k * 2).intoMemorySegment(to, too + (long) k * 4, Lanes.ORDER);
        }
        for (; k < n; k++) {
            to.set(FLOAT, too + (long) k * 4, Float.intBitsToFloat(from.get(SHORT, fo + (long) k * 2) << 16));
        }
    }

    private static void f16(MemorySegment from, long fo, MemorySegment to, long too, int n) {
        int k = 0;
        for (; k <= n - L; k += L) {
            f16(from, fo + (long) k * 2).intoMemorySegment(to, too + (long) k * 4, Lanes.ORDER);
        }
        for (; k < n; k++) {
            to.set(FLOAT, too + (long) k * 4, Float.float16ToFloat(from.get(SHORT, fo + (long) k * 2)));
        }
    }

    static void blocks(MemorySegment from, long fo, int first, MemorySegment scales, long so, MemorySegment to, long too, int n) {
        for (int j = 0; j < n;) {
            int until = Math.min(n, j + Matrix.BLOCK - (first + j) % Matrix.BLOCK);
            block(from, fo + j, scales.get(FLOAT, so + (long) ((first + j) / Matrix.BLOCK) * 4), to, too + (long) j * 4, until - j);
            j = until;
        }
    }

    private static void block(MemorySegment from, long fo, float scale, MemorySegment to, long too, int n) {
        int k = 0;
        for (; k <= n - 8 && k <= n - L; k += L) { // at 128 bits a load takes 8 bytes, of which 4 are used
            int8(from, fo + k).mul(scale).intoMemorySegment(to, too + (long) k * 4, Lanes.ORDER);
        }
        for (; k < n; k++) {
            to.set(FLOAT, too + (long) k * 4, from.get(ValueLayout.JAVA_BYTE, fo + k) * scale);
        }
    }

    private static FloatVector bf16(MemorySegment from, long at) {
        return bits(from, at).lanewise(LSHL, 16).reinterpretAsFloats();
    }

    private static FloatVector f16(MemorySegment from, long at) {
        IntVector half = bits(from, at);
        IntVector sign = half.and(0x8000).lanewise(LSHL, 16);
        IntVector finite = half.and(0x7fff).lanewise(LSHL, 13).reinterpretAsFloats().mul(0x1p112f).reinterpretAsInts();
        return finite.or(sign).lanewise(OR, 0x7f800000, half.and(0x7c00).compare(EQ, 0x7c00)).reinterpretAsFloats();
    }

    private static FloatVector int8(MemorySegment from, long at) {
        return (FloatVector) ByteVector.fromMemorySegment(Lanes.I8, from, at, Lanes.ORDER).convertShape(B2F, Lanes.F32, 0);
    }

    private static IntVector bits(MemorySegment from, long at) {
        return (IntVector) ShortVector.fromMemorySegment(Lanes.I16, from, at, Lanes.ORDER)
                .convertShape(ZERO_EXTEND_S2I, Lanes.I32, 0);
    }
}
