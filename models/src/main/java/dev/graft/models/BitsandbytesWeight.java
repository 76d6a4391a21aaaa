package dev.graft.models;

import dev.graft.models.io.Checkpoint;
import dev.graft.models.io.Entry;
import dev.graft.models.io.Json;
import dev.graft.models.io.JsonObject;
import dev.graft.models.io.StoredType;
import dev.graft.nn.Weight;
import dev.graft.tensor.DType;
import dev.graft.tensor.Shape;
import dev.graft.tensor.Spec;
import dev.graft.tensor.Tensor;
import dev.graft.tensor.op.Nf4;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Supplier;
import java.util.stream.IntStream;

/// An NF4 weight as bitsandbytes stores it: several tensors under the weight's name.
///
/// ```
/// weight                      U8 [⌈n/2⌉, 1]     codes, two a byte
/// weight.absmax               F32 [B]           a scale for 64 values; U8 where scales are quantised, then also
/// weight.nested_absmax        F32 [⌈B/256⌉]     weight.nested_quant_map  F32 [256]
/// weight.quant_map            F32 [16]          the values of the codes
/// weight.quant_state.bitsandbytes__nf4          U8: a JSON object: quant_type, blocksize, dtype, shape, nested_blocksize, nested_dtype, nested_offset
/// ```
/// @param nested null where scales are floats, and offset 0
record BitsandbytesWeight(Entry codes, Shape shape, Entry absmax, Entry nested, float offset) {
    static final String STATE = ".quant_state.bitsandbytes__nf4";

    /// The suffixes of what stands beside a weight.
    static final Set<String> COMPANIONS = Set.of(".absmax", ".quant_map", ".nested_absmax", ".nested_quant_map", STATE);

    /// Those of a checkpoint, by name.
    static Map<String, BitsandbytesWeight> in(Checkpoint checkpoint) {
        Map<String, BitsandbytesWeight> found = new LinkedHashMap<>();
        for (Entry entry : checkpoint.entries().values()) {
            if (!entry.name().endsWith(STATE)) continue;
            String name = entry.name().substring(0, entry.name().length() - STATE.length());
            found.put(name, read(checkpoint, name, entry));
        }
        return found;
    }

    /// Whether a tensor is part of one of these weights.
    static boolean isCompanion(String tensor, Map<String, BitsandbytesWeight> weights) {
        return COMPANIONS.stream()
                .anyMatch(c -> tensor.endsWith(c) && weights.containsKey(tensor.substring(0, tensor.length() - c.length())));
    }

    /// Whether a config.json describes weights of this kind in its `quantization_config`.
    static boolean isDescribedBy(JsonObject config) {
        return config.optObject("quantization_config").filter(q -> q.optString("quant_method", "").equals("bitsandbytes")
                && q.optBoolean("load_in_4bit", false) && q.optString("bnb_4bit_quant_type", "fp4").equals("nf4")).isPresent();
    }

    private static BitsandbytesWeight read(Checkpoint checkpoint, String name, Entry state) {
        JsonObject json = Json.parse(new String(state.bytes().toArray(ValueLayout.JAVA_BYTE), StandardCharsets.UTF_8),
                state.file() + ": " + state.name());
        require(json, "blocksize", Nf4.BLOCK);
        List<Integer> sizes = json.requireInts("shape");
        if (sizes.size() != 2 || sizes.stream().anyMatch(n -> n < 1)) throw json.problem("shape", "must be that of a matrix, got " + sizes);
        Shape shape = Shape.of(sizes.get(0), sizes.get(1));
        if (Math.ceilDiv(shape.size(), 2) > Integer.MAX_VALUE) throw json.problem("shape", "has more than 2³² values, got " + sizes);
        long blocks = Math.ceilDiv(shape.size(), Nf4.BLOCK);
        Entry codes = checkpoint.require(name), absmax = checkpoint.require(name + ".absmax");
        require(codes, StoredType.U8, Math.ceilDiv(shape.size(), 2));
        requireMap(checkpoint.require(name + ".quant_map"), Nf4.values());
        if (!json.has("nested_blocksize")) {
            require(absmax, StoredType.F32, blocks);
            return new BitsandbytesWeight(codes, shape, absmax, null, 0);
        }
        require(json, "nested_blocksize", Nf4.NESTED_BLOCK);
        Entry nested = checkpoint.require(name + ".nested_absmax");
        require(absmax, StoredType.U8, blocks);
        require(nested, StoredType.F32, Math.ceilDiv(blocks, Nf4.NESTED_BLOCK));
        requireMap(checkpoint.require(name + ".nested_quant_map"), Nf4.dynamicValues());
        return new BitsandbytesWeight(codes, shape, absmax, nested, (float) json.requireDouble("nested_offset"));
    }

    private static void require(JsonObject json, String key, int only) {
        if (json.requireInt(key) != only) throw json.problem(key, "is " + json.requireInt(key) + "; Graft reads " + only);
    }

    private static void require(Entry entry, StoredType type, long size) {
        if (entry.type() != type || entry.shape().size() != size)
            throw entry.problem("is %s%s; an NF4 weight of this shape has %s[%d]".formatted(entry.type(), entry.shape(), type, size));
    }

    /// bitsandbytes works its values out in F32, so the last bit may differ.
    private static void requireMap(Entry entry, float[] expected) {
        require(entry, StoredType.F32, expected.length);
        for (int i = 0; i < expected.length; i++) {
            float value = entry.bytes().get(ValueLayout.JAVA_FLOAT_UNALIGNED, i * 4L);
            if (!(Math.abs(value - expected[i]) <= 1e-6f * Math.abs(expected[i])))
                throw entry.problem("says %s for code %d; NF4 has %s".formatted(value, i, expected[i]));
        }
    }

    /// The weight, which stays in the mapped file.
    Weight.Nf4 load() {
        Tensor packed = bytes(codes);
        return new Weight.Nf4(shape, nested == null ? List.of(packed, ModelLoader.tensor(absmax, DType.F32))
                : List.of(packed, bytes(absmax), ModelLoader.tensor(nested, DType.F32), Tensor.scalar(DType.F32, offset)));
    }

    private static Tensor bytes(Entry entry) {
        return Tensor.wrap(entry.bytes(), Spec.of(DType.I8, (int) entry.shape().size()));
    }

    /// A tensor of a file and where its values come from.
    record Part(String name, StoredType type, Shape shape, Supplier<Tensor> values) {
    }

    /// The tensors a weight is written as.
    ///
    /// @param dtype the type of the model's other weights, in torch's words
    static List<Part> parts(String name, Weight.Nf4 weight, String dtype) {
        Map<String, Object> state = new LinkedHashMap<>();
        state.put("quant_type", "nf4");
        state.put("blocksize", Nf4.BLOCK);
        state.put("dtype", dtype);
        state.put("shape", IntStream.of(weight.shape().dims()).boxed().toList());
        Tensor codes = weight.parts().get(0), absmax = weight.parts().get(1);
        Part packed = new Part(name, StoredType.U8, Shape.of(codes.dim(0), 1), () -> codes);
        Part map = part(name + ".quant_map", StoredType.F32, 16, () -> Tensor.of(Nf4.values()));
        if (!weight.isNested())
            return List.of(packed, part(name + ".absmax", StoredType.F32, absmax.dim(0), () -> absmax), map, state(name, state));
        Tensor nested = weight.parts().get(2);
        state.put("nested_blocksize", Nf4.NESTED_BLOCK);
        state.put("nested_dtype", "float32");
        state.put("nested_offset", weight.parts().get(3).item());
        return List.of(packed, part(name + ".absmax", StoredType.U8, absmax.dim(0), () -> absmax), map,
                part(name + ".nested_absmax", StoredType.F32, nested.dim(0), () -> nested),
                part(name + ".nested_quant_map", StoredType.F32, 256, () -> Tensor.of(Nf4.dynamicValues())), state(name, state));
    }

    private static Part part(String name, StoredType type, int size, Supplier<Tensor> values) {
        return new Part(name, type, Shape.of(size), values);
    }

    private static Part state(String name, Map<String, Object> state) {
        byte[] json = Json.format(state).getBytes(StandardCharsets.UTF_8);
        return part(name + STATE, StoredType.U8, json.length, () -> Tensor.of(MemorySegment.ofArray(json), Spec.of(DType.I8, json.length)));
    }

    /// What config.json says of such weights, as transformers writes it.
    ///
    /// @param dense linear layers whose weights are not of this kind
    static Map<String, Object> config(boolean nested, String dtype, List<String> dense) {
        Map<String, Object> config = new LinkedHashMap<>();
        config.put("quant_method", "bitsandbytes");
        config.put("load_in_4bit", true);
        config.put("load_in_8bit", false);
        config.put("bnb_4bit_quant_type", "nf4");
        config.put("bnb_4bit_use_double_quant", nested);
        config.put("bnb_4bit_compute_dtype", dtype);
        config.put("bnb_4bit_quant_storage", "uint8");
        config.put("llm_int8_skip_modules", dense);                              // its name for 4 bits, too
        return config;
    }
}
