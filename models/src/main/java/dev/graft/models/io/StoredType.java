package dev.graft.models.io;

import dev.graft.tensor.DType;
import java.util.Optional;

/// What one element of a tensor is in a file, by its name in safetensors headers. Graft computes with a part of these ([#dtype]); the others
/// can be listed and copied, but not read as numbers.
public enum StoredType {
    // In the order in which the Python library's writer puts them, widest first.
    U64(64), I64(64), F64(64), C64(64), //
    F32(32), U32(32), I32(32), //
    BF16(16), F16(16), U16(16), I16(16), //
    F8_E5M2FNUZ(8), F8_E4M3FNUZ(8), F8_E8M0(8), F8_E4M3(8), F8_E5M2(8), I8(8), U8(8), //
    F6_E3M2(6), F6_E2M3(6), F4(4), BOOL(8);

    private final int bits;

    StoredType(int bits) {
        this.bits = bits;
    }

    public static StoredType of(DType dtype) {
        return valueOf(dtype.name());
    }

    /// Size of one element in bits; below 8 several elements share a byte.
    public int bits() {
        return bits;
    }

    /// The type this is as numbers, if Graft has it.
    public Optional<DType> dtype() {
        return switch (this) {
            case F64 -> Optional.of(DType.F64);
            case F32 -> Optional.of(DType.F32);
            case F16 -> Optional.of(DType.F16);
            case BF16 -> Optional.of(DType.BF16);
            case I64 -> Optional.of(DType.I64);
            case I32 -> Optional.of(DType.I32);
            case I8 -> Optional.of(DType.I8);
            case I16, U64, U32, U16, U8, BOOL, C64, F8_E4M3, F8_E5M2, F8_E4M3FNUZ, F8_E5M2FNUZ, F8_E8M0, F6_E2M3, F6_E3M2,
                    F4 -> Optional.empty();
        };
    }
}
