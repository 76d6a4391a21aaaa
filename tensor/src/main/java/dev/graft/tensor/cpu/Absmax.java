package dev.graft.tensor.cpu;

import dev.graft.tensor.backend.View;
import dev.graft.tensor.op.Nf4;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;

/// The scales of the blocks of an NF4 weight: floats, or bytes with scales of their own.
///
/// ```
/// of(b) = absmax[b]        of(b) = DYNAMIC[absmax[b]]·nested[b/256] + offset
/// ```
/// @param at where absmax begins, in bytes
/// @param nested null where absmax is floats
record Absmax(MemorySegment absmax, long at, MemorySegment nested, long nestedAt, float offset) {
    private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT_UNALIGNED;
    private static final ValueLayout.OfByte BYTE = ValueLayout.JAVA_BYTE;
    private static final float[] VALUES = Nf4.values();
    private static final float[] DYNAMIC = Nf4.dynamicValues();

    /// Of the inputs of an op: absmax alone, or absmax, nested, offset.
    static Absmax of(List<View> in) {
        View absmax = in.getFirst();
        if (in.size() == 1) return new Absmax(absmax.segment(), absmax.byteOffset(), null, 0, 0);
        View nested = in.get(1), offset = in.get(2);
        return new Absmax(absmax.segment(), absmax.byteOffset(), nested.segment(), nested.byteOffset(),
                offset.segment().get(FLOAT, offset.byteOffset()));
    }

    /// The scale of a block.
    float of(long block) {
        if (nested == null) return absmax.get(FLOAT, at + block * 4);
        return DYNAMIC[absmax.get(BYTE, at + block) & 0xff] * nested.get(FLOAT, nestedAt + block / Nf4.NESTED_BLOCK * 4) + offset;
    }

    /// The scales of n blocks as floats.
    void copy(long block, int n, MemorySegment to, long too) {
        for (int i = 0; i < n; i++) to.set(FLOAT, too + i * 4L, of(block + i));
    }

    /// The i-th value of a weight whose codes begin at byte `from`.
    float value(MemorySegment codes, long from, long i) {
        return value(codes.get(BYTE, from + i / 2), i) * of(i / Nf4.BLOCK);
    }

    /// Of the two values of a byte, unscaled, that of the i-th.
    static float value(int pair, long i) {
        return value(pair >> 4 * (1 - (int) (i & 1)) & 15);
    }

    /// Of a code, unscaled.
    static float value(int code) {
        return VALUES[code];
    }
}
