package dev.graft.models.io;

import java.util.HashMap;
import java.util.Map;

/// The Python globals a file of torch.save may name. What is not here is refused.
final class TorchGlobals {
    enum Callable {
        ORDERED_DICT, REBUILD_TENSOR_V2, REBUILD_TENSOR_V3, REBUILD_PARAMETER
    }

    /// A storage class; `type` is null for the untyped one, whose elements a tensor describes itself.
    record StorageType(StoredType type) {}

    /// A dtype, as tensors on an untyped storage name it.
    record ElementType(StoredType type) {}

    /// Storage class of each type that has one.
    static final Map<StoredType, String> STORAGES = Map.of(
            StoredType.F64, "DoubleStorage",
            StoredType.F32, "FloatStorage",
            StoredType.F16, "HalfStorage",
            StoredType.BF16, "BFloat16Storage",
            StoredType.I64, "LongStorage",
            StoredType.I32, "IntStorage",
            StoredType.I16, "ShortStorage",
            StoredType.I8, "CharStorage",
            StoredType.U8, "ByteStorage",
            StoredType.BOOL, "BoolStorage");

    static final Map<String, Object> ALLOWED = allowed();

    private TorchGlobals() {}

    private static Map<String, Object> allowed() {
        Map<String, Object> allowed = new HashMap<>();
        allowed.put("collections.OrderedDict", Callable.ORDERED_DICT);
        allowed.put("torch._utils._rebuild_tensor_v2", Callable.REBUILD_TENSOR_V2);
        allowed.put("torch._utils._rebuild_tensor_v3", Callable.REBUILD_TENSOR_V3); // for types without a storage class
        allowed.put("torch._utils._rebuild_parameter", Callable.REBUILD_PARAMETER);
        STORAGES.forEach((type, name) -> allowed.put("torch." + name, new StorageType(type)));
        allowed.put("torch.storage.UntypedStorage", new StorageType(null));
        Map.ofEntries(
                Map.entry("float64", StoredType.F64), Map.entry("float32", StoredType.F32), Map.entry("float16", StoredType.F16),
                Map.entry("bfloat16", StoredType.BF16), Map.entry("int64", StoredType.I64), Map.entry("int32", StoredType.I32),
                Map.entry("int16", StoredType.I16), Map.entry("int8", StoredType.I8), Map.entry("uint64", StoredType.U64),
                Map.entry("uint32", StoredType.U32), Map.entry("uint16", StoredType.U16), Map.entry("uint8", StoredType.U8),
                Map.entry("bool", StoredType.BOOL), Map.entry("float8_e4m3fn", StoredType.F8_E4M3),
                Map.entry("float8_e5m2", StoredType.F8_E5M2),
                Map.entry("float8_e4m3fnuz", StoredType.F8_E4M3FNUZ), Map.entry("float8_e5m2fnuz", StoredType.F8_E5M2FNUZ),
                Map.entry("float8_e8m0fnu", StoredType.F8_E8M0))
                .forEach((name, type) -> allowed.put("torch." + name, new ElementType(type)));
        return Map.copyOf(allowed);
    }
}
