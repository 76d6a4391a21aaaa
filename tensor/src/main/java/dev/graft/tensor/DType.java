package dev.graft.tensor;

import java.util.Locale;

/// What one element of a tensor is. F64 and F32 are computed with; BF16, F16 and I8 are ways of storing weights, widened to F32 where they
/// enter a product; I64 and I32 hold token ids, positions and indices.
public enum DType {
    F64(8), F32(4), BF16(2), F16(2), I64(8), I32(4), I8(1);

    private final int bytes;

    DType(int bytes) {
        this.bytes = bytes;
    }

    /// Size of one element in bytes.
    public int bytes() {
        return bytes;
    }

    public boolean isFloating() {
        return switch (this) {
            case F64, F32, BF16, F16 -> true;
            case I64, I32, I8 -> false;
        };
    }

    /// Whether this is a 16-bit floating type, which is stored but not computed with.
    public boolean isHalf() {
        return this == BF16 || this == F16;
    }

    /// The type sums over this type are made in: F64 stays, every other floating type becomes F32.
    public DType computed() {
        return isHalf() ? F32 : this;
    }

    @Override
    public String toString() {
        return name().toLowerCase(Locale.ROOT);
    }
}
