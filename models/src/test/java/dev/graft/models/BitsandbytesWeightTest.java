package dev.graft.models;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.graft.models.LoadOptions.Weights;
import dev.graft.models.io.Checkpoint;
import dev.graft.models.io.CheckpointException;
import dev.graft.models.io.Entry;
import dev.graft.models.io.Json;
import dev.graft.models.io.Safetensors;
import dev.graft.models.io.StoredType;
import dev.graft.models.io.TensorSource;
import dev.graft.nn.Linear;
import dev.graft.nn.Parameter;
import dev.graft.nn.Weight;
import dev.graft.tensor.DType;
import dev.graft.tensor.Scope;
import dev.graft.tensor.Shape;
import dev.graft.tensor.backend.HostMemory;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.Consumer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/// NF4 in files: converted while loading, written, read again.
class BitsandbytesWeightTest {
    private static final String Q = "model.layers.0.self_attn.q_proj.weight";

    @TempDir
    Path dir;

    @ParameterizedTest
    @ValueSource(strings = {"models/llama-mha", "models/llama-gqa-tied", "models/bloom-h4", "models/gptj"})
    void linearLayersButTheHeadAreConverted(String golden) {
        try (CausalLm model = ModelLoader.load(Golden.path(golden), LoadOptions.DEFAULT.withWeights(Weights.NF4));
                CausalLm exact = ModelLoader.load(Golden.path(golden))) {
            Map<String, Parameter> dense = new TreeMap<>();
            exact.parameters().forEach(p -> dense.put(p.name(), p));
            List<Parameter> linear = model.modules(Linear.class).map(Linear::weight).filter(p -> p != model.head().weight()).toList();
            assertThat(linear).isNotEmpty();
            assertThat(model.parameters().filter(p -> p.weight().isQuantised()).toList()).containsExactlyInAnyOrderElementsOf(linear);
            try (var _ = Scope.open()) {
                for (Parameter p : linear) {
                    float[] expected = Weight.Nf4.of(dense.get(p.name()).value()).dense().toFloats();
                    assertThat(p.weight().dense().toFloats()).as(p.name()).isEqualTo(expected);
                }
            }
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"models/llama-mha", "models/bloom-h4", "models/gptj"})
    void isWrittenAndReadAgainBitForBit(String golden) {
        float[] logits;
        try (CausalLm model = ModelLoader.load(Golden.path(golden), LoadOptions.DEFAULT.withWeights(Weights.NF4))) {
            ModelWriter.save(model, dir);
            logits = Logits.of(model);
        }
        for (Weights form : List.of(Weights.STORED, Weights.NF4)) {
            try (CausalLm again = ModelLoader.load(dir, LoadOptions.DEFAULT.withWeights(form))) {
                assertThat(Logits.of(again)).isEqualTo(logits);
            }
        }
        try (CausalLm wide = ModelLoader.load(dir, LoadOptions.DEFAULT.withWeights(Weights.F32))) {
            assertThat(wide.parameters().map(p -> p.weight().format())).containsOnly("f32");
            GoldenTensors.check("widened", Logits.of(wide), logits, 1e-4);
        }
    }

    /// What transformers and bitsandbytes look for.
    @Test
    void hasBitsandbytesKeys() {
        saveNf4();
        try (Checkpoint checkpoint = Checkpoint.open(dir)) {
            Entry codes = checkpoint.require(Q), absmax = checkpoint.require(Q + ".absmax");
            int values = 32 * 32;
            assertThat(Json.read(dir.resolve("config.json")).requireInt("hidden_size")).isEqualTo(32);
            assertThat(codes.type()).isEqualTo(StoredType.U8);
            assertThat(codes.shape()).isEqualTo(Shape.of(values / 2, 1));
            assertThat(absmax.type()).isEqualTo(StoredType.U8);
            assertThat(absmax.shape()).isEqualTo(Shape.of(values / 64));
            assertThat(checkpoint.require(Q + ".quant_map").shape()).isEqualTo(Shape.of(16));
            assertThat(checkpoint.require(Q + ".nested_absmax").shape()).isEqualTo(Shape.of(1));
            assertThat(checkpoint.require(Q + ".nested_quant_map").shape()).isEqualTo(Shape.of(256));
            var state = Json.parse(text(checkpoint.require(Q + ".quant_state.bitsandbytes__nf4")), "state");
            assertThat(state.requireString("quant_type")).isEqualTo("nf4");
            assertThat(state.requireInt("blocksize")).isEqualTo(64);
            assertThat(state.requireInts("shape")).containsExactly(32, 32);
            assertThat(state.requireString("dtype")).isEqualTo("float32");
            assertThat(state.requireInt("nested_blocksize")).isEqualTo(256);
            assertThat(state.requireString("nested_dtype")).isEqualTo("float32");
            assertThat(state.requireDouble("nested_offset")).isPositive();
            assertThat(checkpoint.require("lm_head.weight").type()).isEqualTo(StoredType.F32);
        }
        var config = Json.read(dir.resolve("config.json")).requireObject("quantization_config");
        assertThat(config.requireString("quant_method")).isEqualTo("bitsandbytes");
        assertThat(config.requireString("bnb_4bit_quant_type")).isEqualTo("nf4");
        assertThat(config.requireBoolean("load_in_4bit")).isTrue();
        assertThat(config.requireBoolean("bnb_4bit_use_double_quant")).isTrue();
        assertThat(config.requireStrings("llm_int8_skip_modules")).containsExactly("lm_head");
    }

    /// bitsandbytes' own default has scales as floats. Worked by hand: all codes 15 and 0 in turn, every scale 0.5.
    @Test
    void readsScalesThatAreFloats() throws IOException {
        saveNf4();
        change(tensors -> {
            int values = 32 * 32;
            byte[] codes = new byte[values / 2];
            Arrays.fill(codes, (byte) 0xf0);
            tensors.put(Q, of(Q, StoredType.U8, Shape.of(values / 2, 1), codes));
            MemorySegment half = Arena.ofAuto().allocate(values / 64 * 4L, 4);
            for (int i = 0; i < values / 64; i++) half.setAtIndex(ValueLayout.JAVA_FLOAT, i, 0.5f);
            tensors.put(Q + ".absmax", TensorSource.of(Q + ".absmax", DType.F32, Shape.of(values / 64), half));
            tensors.remove(Q + ".nested_absmax");
            tensors.remove(Q + ".nested_quant_map");
            state(tensors, "{\"quant_type\": \"nf4\", \"blocksize\": 64, \"dtype\": \"bfloat16\", \"shape\": [32, 32]}");
        });
        try (CausalLm model = ModelLoader.load(dir); var _ = Scope.open()) {
            Weight weight = model.parameters().filter(p -> p.name().equals(Q)).findFirst().orElseThrow().weight();
            assertThat(weight.format()).isEqualTo("nf4");
            assertThat(((Weight.Nf4) weight).isNested()).isFalse();
            float[] dense = weight.dense().toFloats();
            for (int i = 0; i < dense.length; i++) assertThat(dense[i]).isEqualTo(i % 2 == 0 ? 0.5f : -0.5f);
            Logits.of(model);
        }
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', textBlock = """
            {"quant_type": "nf4", "blocksize": 128, "shape": [32, 32]}                                      | blocksize | is 128; Graft reads 64
            {"quant_type": "nf4", "blocksize": 64, "shape": [32, 34]}                                       | weight    | NF4 weight of this shape has U8[544]
            {"quant_type": "nf4", "blocksize": 64, "shape": [64, 16], "nested_blocksize": 256, "nested_offset": 1} | q_proj | instead of [32, 32]
            {"quant_type": "nf4", "blocksize": 64, "shape": [1024]}                                         | shape     | must be that of a matrix
            {"quant_type": "nf4", "blocksize": 64, "shape": [32, 32]}                                       | absmax    | has F32[16]
            """)
    void saysWhatDoesNotFit(String state, String where, String what) throws IOException {
        saveNf4();
        change(tensors -> state(tensors, state));
        assertThatThrownBy(() -> ModelLoader.load(dir)).isInstanceOf(CheckpointException.class).hasMessageContaining(where)
                .hasMessageContaining(what);
    }

    @Test
    void otherValuesAndMissingPartsAreRefused() throws IOException {
        saveNf4();
        change(tensors -> tensors.put(Q + ".quant_map",
                TensorSource.of(Q + ".quant_map", DType.F32, Shape.of(16), MemorySegment.ofArray(new float[16]))));
        assertThatThrownBy(() -> ModelLoader.load(dir)).hasMessageContaining("says 0.0 for code 0; NF4 has -1.0");
        change(tensors -> tensors.remove(Q + ".quant_map"));
        assertThatThrownBy(() -> ModelLoader.load(dir)).hasMessageContaining(Q + ".quant_map").hasMessageContaining("is missing");
    }

    @Test
    void anEmbeddingCannotBeNf4() throws IOException {
        saveNf4();
        String table = "model.embed_tokens.weight";
        change(tensors -> {
            for (String c : BitsandbytesWeight.COMPANIONS) {
                TensorSource part = tensors.get(Q + c);
                tensors.put(table + c, new TensorSource(table + c, part.type(), part.shape(), part.bytes()));
            }
            TensorSource codes = tensors.get(Q);
            tensors.put(table, new TensorSource(table, codes.type(), codes.shape(), codes.bytes()));
        });
        assertThatThrownBy(() -> ModelLoader.load(dir)).hasMessageContaining(table + " nf4, which only a linear layer can be");
    }

    @Test
    void otherQuantisationsAreRefused() {
        saveNf4();
        Path file = dir.resolve("config.json");
        Map<String, Object> json = Json.read(file).toMap();
        json.put("quantization_config", Map.of("quant_method", "bitsandbytes", "load_in_4bit", true, "bnb_4bit_quant_type", "fp4"));
        Json.write(file, json);
        assertThatThrownBy(() -> ModelLoader.load(dir)).isInstanceOf(CheckpointException.class).hasMessageContaining("quantization_config")
                .hasMessageContaining("load_in_4bit and bnb_4bit_quant_type nf4");
    }

    /// Codes and scales lie in the file, which is mapped; what is converted takes what NF4 takes.
    @Test
    void takesHardlyMoreMemoryThanItsBits() {
        long before = HostMemory.shared().stats().live();
        try (CausalLm model = ModelLoader.load(Golden.path("models/llama-mha"), LoadOptions.DEFAULT.withWeights(Weights.NF4))) {
            long values = model.parameters().filter(p -> p.weight().isQuantised()).mapToLong(p -> p.shape().size()).sum();
            long held = model.parameters().filter(p -> p.weight().isQuantised()).mapToLong(p -> p.weight().bytes()).sum();
            assertThat(8.0 * held / values).isBetween(4.12, 4.2);
            assertThat(HostMemory.shared().stats().live() - before).isLessThan(held + 64 * 4 * model.parameters().count() * 4);
            ModelWriter.save(model, dir);
        }
        try (CausalLm mapped = ModelLoader.load(dir)) {
            assertThat(HostMemory.shared().stats().live() - before).isLessThan(64 * mapped.parameters().count());
        }
    }

    /// The file's pages are given back to the system after each tensor, and come again when they are read.
    @Test
    void whatIsForgottenIsReadAgain() {
        try (Checkpoint checkpoint = Checkpoint.open(Golden.path("models/llama-mha"))) {
            for (Entry entry : checkpoint.entries().values()) {
                byte[] before = entry.bytes().toArray(ValueLayout.JAVA_BYTE);
                entry.forget();
                assertThat(entry.bytes().toArray(ValueLayout.JAVA_BYTE)).isEqualTo(before);
            }
        }
    }

    private void saveNf4() {
        try (CausalLm model = ModelLoader.load(Golden.path("models/llama-mha"), LoadOptions.DEFAULT.withWeights(Weights.NF4))) {
            ModelWriter.save(model, dir);
        }
    }

    private static void state(Map<String, TensorSource> tensors, String json) {
        String name = Q + BitsandbytesWeight.STATE;
        byte[] bytes = json.getBytes(StandardCharsets.UTF_8);
        tensors.put(name, of(name, StoredType.U8, Shape.of(bytes.length), bytes));
    }

    private static TensorSource of(String name, StoredType type, Shape shape, byte... bytes) {
        return new TensorSource(name, type, shape, () -> MemorySegment.ofArray(bytes));
    }

    private void change(Consumer<Map<String, TensorSource>> change) throws IOException {
        Path file = dir.resolve("model.safetensors"), next = dir.resolve("next.safetensors");
        try (Checkpoint checkpoint = Checkpoint.open(file)) {
            Map<String, TensorSource> tensors = new TreeMap<>();
            checkpoint.entries().values().forEach(e -> tensors.put(e.name(), TensorSource.of(e)));
            change.accept(tensors);
            Safetensors.write(next, new ArrayList<>(tensors.values()));
        }
        Files.delete(file);
        Files.move(next, file);
    }

    private static String text(Entry entry) {
        return new String(entry.bytes().toArray(ValueLayout.JAVA_BYTE), StandardCharsets.UTF_8);
    }
}
