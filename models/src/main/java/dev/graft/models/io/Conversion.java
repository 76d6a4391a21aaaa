package dev.graft.models.io;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_DOUBLE_UNALIGNED;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT_UNALIGNED;
import static java.lang.foreign.ValueLayout.JAVA_INT_UNALIGNED;
import static java.lang.foreign.ValueLayout.JAVA_LONG_UNALIGNED;
import static java.lang.foreign.ValueLayout.JAVA_SHORT_UNALIGNED;

import dev.graft.tensor.DType;
import java.lang.foreign.MemorySegment;

/// Elements of one type as elements of another, rounded once, to nearest even.
///
/// ```
/// BF16 → F32   bits << 16
/// F32 → BF16   (bits + 0x7fff + (bits >> 16 & 1)) >> 16, a NaN kept a NaN
/// F64 → 16 bit by way of F32 rounded to odd, so that the second rounding sees whether the first one lost anything
/// ```
///
/// Goes through small heap arrays, whose loops HotSpot turns into vector code; loops from one native segment to another it does not, as
/// the two might overlap.
final class Conversion {
    private static final int CHUNK = 4096;

    private final float[] floats;
    private final short[] halves;
    private final double[] doubles;

    private Conversion(int chunk) {
        floats = new float[chunk];
        halves = new short[chunk];
        doubles = new double[chunk];
    }

    /// Whether [#convert] can do it: floats into floats, integers into integers at least as wide.
    static boolean supports(DType from, DType to) {
        return from.isFloating() == to.isFloating() && (from.isFloating() || from.bytes() <= to.bytes());
    }

    /// Reads `elements` little-endian elements of `from` and writes them in the machine's order as `to`; neither side needs alignment.
    static void convert(MemorySegment source, DType from, MemorySegment target, DType to, long elements) {
        if (from == to) {
            switch (from.bytes()) {
                case 8 -> MemorySegment.copy(source, LittleEndian.LONG, 0, target, JAVA_LONG_UNALIGNED, 0, elements);
                case 4 -> MemorySegment.copy(source, LittleEndian.INT, 0, target, JAVA_INT_UNALIGNED, 0, elements);
                case 2 -> MemorySegment.copy(source, LittleEndian.SHORT, 0, target, JAVA_SHORT_UNALIGNED, 0, elements);
                default -> MemorySegment.copy(source, 0, target, 0, elements);
            }
        } else if (from.isFloating()) {
            var conversion = new Conversion((int) Math.min(CHUNK, elements));
            for (long i = 0; i < elements; i += CHUNK) {
                int n = (int) Math.min(CHUNK, elements - i);
                conversion.convert(source, from, i * from.bytes(), target, to, i * to.bytes(), n);
            }
        } else {
            for (long i = 0; i < elements; i++) writeLong(target, to, i, readLong(source, from, i));
        }
    }

    private void convert(MemorySegment source, DType from, long at, MemorySegment target, DType to, long into, int n) {
        switch (from) {
            case F64 -> {
                MemorySegment.copy(source, LittleEndian.DOUBLE, at, doubles, 0, n);
                if (to == DType.F32) for (int i = 0; i < n; i++) floats[i] = (float) doubles[i];
                else for (int i = 0; i < n; i++) floats[i] = roundToOdd(doubles[i]);
            }
            case F32 -> MemorySegment.copy(source, LittleEndian.FLOAT, at, floats, 0, n);
            case BF16 -> {
                MemorySegment.copy(source, LittleEndian.SHORT, at, halves, 0, n);
                for (int i = 0; i < n; i++) floats[i] = Float.intBitsToFloat(halves[i] << 16);
            }
            case F16 -> {
                MemorySegment.copy(source, LittleEndian.SHORT, at, halves, 0, n);
                for (int i = 0; i < n; i++) floats[i] = Float.float16ToFloat(halves[i]);
            }
            case I64, I32, I8 -> throw new AssertionError(from);
        }
        switch (to) {
            case F64 -> {
                for (int i = 0; i < n; i++) doubles[i] = floats[i];
                MemorySegment.copy(doubles, 0, target, JAVA_DOUBLE_UNALIGNED, into, n);
            }
            case F32 -> MemorySegment.copy(floats, 0, target, JAVA_FLOAT_UNALIGNED, into, n);
            case BF16 -> {
                for (int i = 0; i < n; i++) halves[i] = toBf16(floats[i]);
                MemorySegment.copy(halves, 0, target, JAVA_SHORT_UNALIGNED, into, n);
            }
            case F16 -> {
                for (int i = 0; i < n; i++) halves[i] = Float.floatToFloat16(floats[i]);
                MemorySegment.copy(halves, 0, target, JAVA_SHORT_UNALIGNED, into, n);
            }
            case I64, I32, I8 -> throw new AssertionError(to);
        }
    }

    static short toBf16(float value) {
        int bits = Float.floatToRawIntBits(value);
        int rounded = (bits + 0x7fff + (bits >>> 16 & 1)) >>> 16;
        return (short) (value != value ? bits >>> 16 | 0x40 : rounded); // the carry of a NaN would make it an infinity or a zero
    }

    /// The float next to `value` towards zero, its last bit set if that lost anything (Boldo and Melquiond 2008, "Emulation of FMA and
    /// correctly rounded sums: proved algorithms using rounding to odd").
    static float roundToOdd(double value) {
        float nearest = (float) value;
        if (nearest == value || nearest != nearest) return nearest;
        int bits = Float.floatToRawIntBits(nearest);
        if (Math.abs((double) nearest) > Math.abs(value)) bits--; // sign and magnitude: one less is one step towards zero
        return Float.intBitsToFloat(bits | 1);
    }

    private static long readLong(MemorySegment source, DType from, long i) {
        return switch (from) {
            case I64 -> source.get(LittleEndian.LONG, 8 * i);
            case I32 -> source.get(LittleEndian.INT, 4 * i);
            case I8 -> source.get(JAVA_BYTE, i);
            case F64, F32, BF16, F16 -> throw new AssertionError(from);
        };
    }

    private static void writeLong(MemorySegment target, DType to, long i, long value) {
        switch (to) {
            case I64 -> target.set(JAVA_LONG_UNALIGNED, 8 * i, value);
            case I32 -> target.set(JAVA_INT_UNALIGNED, 4 * i, (int) value);
            case I8 -> target.set(JAVA_BYTE, i, (byte) value);
            case F64, F32, BF16, F16 -> throw new AssertionError(to);
        }
    }
}
