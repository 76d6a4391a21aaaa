package dev.graft.tensor.reference;

import dev.graft.tensor.DType;
import dev.graft.tensor.backend.View;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/// A view's elements as doubles, by row-major position. Integers beyond 2⁵³ lose their last bits here, as the ids and positions they stand for never do.
final class Elements {
    private final MemorySegment memory;
    private final DType dtype;
    private final int[] dims;
    private final long[] strides;
    private final long offset;
    private final boolean contiguous;

    private Elements(View view) {
        memory = view.segment();
        dtype = view.dtype();
        dims = view.shape().dims();
        strides = view.strides();
        offset = view.offset();
        contiguous = view.isContiguous();
    }

    static Elements of(View view) {
        return new Elements(view);
    }

    double get(long position) {
        return at(address(position));
    }

    void set(long position, double value) {
        put(address(position), value);
    }

    /// Where the element at a row-major position lies, in elements from the start of the block.
    private long address(long position) {
        if (contiguous) return offset + position;
        long address = offset;
        for (int i = dims.length - 1; i >= 0; i--) {
            address += position % dims[i] * strides[i];
            position /= dims[i];
        }
        return address;
    }

    private double at(long address) {
        return switch (dtype) {
            case F64 -> memory.get(ValueLayout.JAVA_DOUBLE_UNALIGNED, 8 * address);
            case F32 -> memory.get(ValueLayout.JAVA_FLOAT_UNALIGNED, 4 * address);
            case BF16 -> Float.intBitsToFloat(memory.get(ValueLayout.JAVA_SHORT_UNALIGNED, 2 * address) << 16);
            case F16 -> Float.float16ToFloat(memory.get(ValueLayout.JAVA_SHORT_UNALIGNED, 2 * address));
            case I64 -> memory.get(ValueLayout.JAVA_LONG_UNALIGNED, 8 * address);
            case I32 -> memory.get(ValueLayout.JAVA_INT_UNALIGNED, 4 * address);
            case I8 -> memory.get(ValueLayout.JAVA_BYTE, address);
        };
    }

    private void put(long address, double v) {
        switch (dtype) {
            case F64 -> memory.set(ValueLayout.JAVA_DOUBLE_UNALIGNED, 8 * address, v);
            case F32 -> memory.set(ValueLayout.JAVA_FLOAT_UNALIGNED, 4 * address, (float) v);
            case BF16 -> memory.set(ValueLayout.JAVA_SHORT_UNALIGNED, 2 * address, bfloat16((float) v));
            case F16 -> memory.set(ValueLayout.JAVA_SHORT_UNALIGNED, 2 * address, Float.floatToFloat16((float) v));
            case I64 -> memory.set(ValueLayout.JAVA_LONG_UNALIGNED, 8 * address, (long) v);
            case I32 -> memory.set(ValueLayout.JAVA_INT_UNALIGNED, 4 * address, (int) v);
            case I8 -> memory.set(ValueLayout.JAVA_BYTE, address, (byte) Math.clamp((long) v, Byte.MIN_VALUE, Byte.MAX_VALUE));
        }
    }

    /// To nearest, ties to even; a NaN stays one.
    private static short bfloat16(float v) {
        int bits = Float.floatToRawIntBits(v);
        if (Float.isNaN(v)) return (short) (bits >> 16 | 0x40);
        return (short) (bits + 0x7FFF + (bits >> 16 & 1) >> 16);
    }
}
