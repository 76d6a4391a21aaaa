package dev.graft.models;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.graft.models.LoadOptions.Weights;
import dev.graft.models.io.Checkpoint;
import dev.graft.models.io.CheckpointException;
import dev.graft.models.io.Json;
import dev.graft.models.io.Safetensors;
import dev.graft.models.io.TensorSource;
import dev.graft.models.io.TorchZip;
import dev.graft.models.llama.Llama;
import dev.graft.models.llama.LlamaConfig;
import dev.graft.nn.Parameter;
import dev.graft.tensor.DType;
import dev.graft.tensor.Scope;
import dev.graft.tensor.Shape;
import dev.graft.tensor.Tensor;
import dev.graft.tensor.TensorException;
import dev.graft.tensor.backend.HostMemory;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.Consumer;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// Models in folders: loading, what does not fit, saving.
class ModelFilesTest {
    @TempDir
    Path dir;

    @Test
    void mappedWeightsTakeNoMemory() {
        long before = HostMemory.shared().stats().live();
        try (CausalLm model = ModelLoader.load(Golden.path("formats/llama-bf16-sharded"))) {
            assertThat(model.parameters().map(p -> p.weight().format())).containsOnly("bf16");
            assertThat(model.parameters().allMatch(p -> p.value().view().storage().isReadOnly())).isTrue();
            assertThat(HostMemory.shared().stats().live()).isEqualTo(before);
        }
    }

    @Test
    void halfPrecisionFilesLoadAsF32WithoutLoss() {
        float[] kept = Logits.ofOnce(ModelLoader.load(Golden.path("formats/llama-bf16-sharded")));
        CausalLm wide = ModelLoader.load(Golden.path("formats/llama-bf16-sharded"), LoadOptions.DEFAULT.withWeights(Weights.F32));
        assertThat(wide.parameters().map(p -> p.weight().format())).containsOnly("f32");
        GoldenTensors.check("logits", Logits.ofOnce(wide), kept, 1e-5);
    }

    @Test
    void aTrainedParameterLeavesTheFileAndOthersStay() {
        try (CausalLm model = ModelLoader.load(Golden.path("models/llama-mha")); var _ = Scope.open()) {
            Parameter trained = model.norm().parameters().findFirst().orElseThrow();
            Parameter frozen = model.embedding().weight();
            assertThatThrownBy(() -> trained.value().assign(Tensor.scalar(DType.F32, 3))).isInstanceOf(TensorException.class)
                    .hasMessageContaining("read-only");
            float[] before = trained.value().toFloats();
            trained.trainable(true);
            assertThat(trained.value().toFloats()).isEqualTo(before);
            trained.value().assign(Tensor.scalar(DType.F32, 3));
            assertThat(trained.value().toFloats()).containsOnly(3);
            assertThat(frozen.value().view().storage().isReadOnly()).isTrue();
        }
        try (CausalLm again = ModelLoader.load(Golden.path("models/llama-mha"))) {
            assertThat(again.norm().parameters().findFirst().orElseThrow().value().toFloats()).doesNotContain(3);
        }
    }

    @Test
    void allThatDoesNotFitIsNamedAtOnce() throws IOException {
        copy("models/llama-mha", tensors -> {
            tensors.remove("model.norm.weight");
            tensors.remove("model.layers.1.mlp.up_proj.weight");
            tensors.put("model.layers.0.extra", floats("model.layers.0.extra", 3));
            tensors.put("lm_head.weight", floats("lm_head.weight", 4, 5));
            tensors.put("model.layers.0.input_layernorm.weight",
                    TensorSource.of("model.layers.0.input_layernorm.weight", DType.I32, Shape.of(32),
                            MemorySegment.ofArray(new int[32])));
        });
        assertThatThrownBy(() -> ModelLoader.load(dir)).isInstanceOf(CheckpointException.class).hasMessageContainingAll("model.safetensors",
                "llama of 2 layers", "missing 2: ", "model.norm.weight [32]", "model.layers.1.mlp.up_proj.weight [88, 32]",
                "unexpected 1: model.layers.0.extra f32[3]", "wrong 2: ", "lm_head.weight f32[4, 5] instead of [96, 32]",
                "model.layers.0.input_layernorm.weight i32[32] instead of a floating type");
    }

    @Test
    void aConfigThatClaimsMoreThanTheFileHoldsBuildsNothing() throws IOException {
        copy("models/llama-mha", _ -> {});
        config(json -> json.put("num_hidden_layers", 2_000_000_000));
        assertThatThrownBy(() -> ModelLoader.load(dir)).isInstanceOf(CheckpointException.class).hasMessageContaining("num_hidden_layers")
                .hasMessageContaining("model.safetensors holds only 21 tensors");
        config(json -> {
            json.put("num_hidden_layers", 2);
            json.put("vocab_size", 2_000_000_000);
        });
        assertThatThrownBy(() -> ModelLoader.load(dir)).isInstanceOf(CheckpointException.class)
                .hasMessageContaining("[96, 32] instead of [2000000000, 32]");
    }

    @Test
    void anUnknownArchitectureListsTheKnownOnes() throws IOException {
        copy("models/llama-mha", _ -> {});
        config(json -> json.put("model_type", "mamba"));
        assertThatThrownBy(() -> ModelLoader.load(dir)).isInstanceOf(CheckpointException.class)
                .hasMessageContaining("\"model_type\" is 'mamba'; Graft knows bloom, gptj, granite, llama");
    }

    @Test
    void oldRotaryBuffersAndARepeatedTiedHeadArePassedOver() throws IOException {
        float[] expected = Logits.ofOnce(ModelLoader.load(Golden.path("models/llama-gqa-tied")));
        copy("models/llama-gqa-tied", tensors -> {
            tensors.put("model.layers.2.self_attn.rotary_emb.inv_freq", floats("model.layers.2.self_attn.rotary_emb.inv_freq", 4));
            TensorSource table = tensors.get("model.embed_tokens.weight");
            tensors.put("lm_head.weight", new TensorSource("lm_head.weight", table.type(), table.shape(), table.bytes()));
        });
        assertThat(Logits.ofOnce(ModelLoader.load(dir))).isEqualTo(expected);
        copy("models/llama-gqa-tied", tensors -> tensors.put("lm_head.weight", floats("lm_head.weight", 96, 48)));
        assertThatThrownBy(() -> ModelLoader.load(dir)).isInstanceOf(CheckpointException.class).hasMessageContainingAll("'lm_head.weight'",
                "same parameter as", "'model.embed_tokens.weight'", "\"tie_word_embeddings\": false");
        copy("models/llama-gqa-tied", tensors -> tensors.put("model.layers.2.self_attn.rotary_emb.inv_freqs",
                floats("model.layers.2.self_attn.rotary_emb.inv_freqs", 4)));
        assertThatThrownBy(() -> ModelLoader.load(dir)).hasMessageContaining("unexpected 1: model.layers.2.self_attn.rotary_emb.inv_freqs");
    }

    @Test
    void torchFilesLoadAsWell() throws IOException {
        copy("models/llama-gqa-tied", _ -> {});
        Files.delete(dir.resolve("model.safetensors"));
        try (Checkpoint checkpoint = Checkpoint.open(Golden.path("models/llama-gqa-tied"))) {
            TorchZip.write(dir.resolve("pytorch_model.bin"), checkpoint.entries().values().stream().map(TensorSource::of).toList());
        }
        CausalLm model = ModelLoader.load(dir);
        assertThat(model.parameters().allMatch(p -> p.value().view().storage().isReadOnly())).isTrue();
        assertThat(Logits.ofOnce(model)).isEqualTo(Logits.ofOnce(ModelLoader.load(Golden.path("models/llama-gqa-tied"))));
    }

    @ParameterizedTest
    @ValueSource(strings = {"llama-mha", "llama-gqa-tied"})
    void whatIsSavedLoadsToTheSameBits(String name) throws IOException {
        try (CausalLm model = ModelLoader.load(Golden.path("models/" + name))) {
            ModelWriter.save(model, dir, null, 40_000);
            assertThat(dir.resolve("model.safetensors.index.json")).exists();
        }
        try (Checkpoint ours = Checkpoint.open(dir); Checkpoint theirs = Checkpoint.open(Golden.path("models/" + name))) {
            assertThat(ours.entries().keySet()).isEqualTo(theirs.entries().keySet());
            ours.entries().forEach((key, entry) -> {
                assertThat(entry.type()).isEqualTo(theirs.require(key).type());
                assertThat(entry.bytes().mismatch(theirs.require(key).bytes())).as(key).isEqualTo(-1);
            });
        }
        assertThat(Logits.ofOnce(ModelLoader.load(dir))).isEqualTo(Logits.ofOnce(ModelLoader.load(Golden.path("models/" + name))));
        assertThat(Json.read(dir.resolve("config.json")).requireString("torch_dtype")).isEqualTo("float32");
    }

    @Test
    void savingConvertsAndOverwritesTheFolderItWasLoadedFrom() throws IOException {
        copy("models/llama-mha", _ -> {});
        float[] before;
        try (CausalLm model = ModelLoader.load(dir)) {
            before = Logits.of(model);
            ModelWriter.save(model, dir, DType.BF16, ModelWriter.SHARD);
            assertThat(Logits.of(model)).as("the mapped file stays while the model is open").isEqualTo(before);
        }
        try (CausalLm half = ModelLoader.load(dir)) {
            assertThat(half.parameters().map(p -> p.weight().format())).containsOnly("bf16");
            assertThat(Logits.of(half)).isNotEqualTo(before);
        }
        assertThat(Json.read(dir.resolve("config.json")).requireString("dtype")).isEqualTo("bfloat16");
    }

    @Test
    void int8WeightsAreSavedInATypeThatFilesHave() {
        try (CausalLm model = ModelLoader.load(Golden.path("models/llama-mha"), LoadOptions.DEFAULT.withWeights(Weights.Q8))) {
            assertThatThrownBy(() -> ModelWriter.save(model, dir)).isInstanceOf(TensorException.class)
                    .hasMessageContaining("is stored as q8; give a type");
            ModelWriter.save(model, dir, DType.F32, ModelWriter.SHARD);
            GoldenTensors.check("logits", Logits.ofOnce(ModelLoader.load(dir)), Logits.of(model), 1e-5);
        }
    }

    @Test
    void aRandomModelWrittenAsAStreamIsTheInitialisedOne() {
        // The embedding is larger than what is drawn at a time.
        LlamaConfig config = LlamaConfig.of(Json.parse(
                """
                {"vocab_size": 100003, "hidden_size": 24, "intermediate_size": 20, "num_hidden_layers": 2, "num_attention_heads": 4, "mlp_bias": true}""",
                ""));
        try (Llama empty = new Llama(config); Llama held = new Llama(config)) {
            List<Long> progress = new ArrayList<>();
            ModelWriter.saveRandom(empty, 42, dir, DType.F32, ModelWriter.SHARD, progress::add);
            assertThat(progress).isSorted().endsWith(4 * empty.parameterCount());
            assertThat(empty.parameters().noneMatch(Parameter::isFilled)).isTrue();
            held.initialise(42);
            assertThat(Logits.ofOnce(ModelLoader.load(dir))).isEqualTo(Logits.of(held));
        }
    }

    @Test
    void companionsAreCopiedAsFarAsTheyAreThere() throws IOException {
        Path from = Files.createDirectories(dir.resolve("from"));
        Files.writeString(from.resolve("tokenizer.json"), "{}");
        Files.writeString(from.resolve("model.safetensors"), "");
        ModelWriter.copyCompanions(from, dir.resolve("to"));
        try (Stream<Path> files = Files.list(dir.resolve("to"))) {
            assertThat(files.map(f -> f.getFileName().toString())).containsExactly("tokenizer.json");
        }
    }

    /// A golden checkpoint in the temporary folder, its tensors changed.
    private void copy(String golden, Consumer<Map<String, TensorSource>> change) throws IOException {
        Path config = dir.resolve("config.json");
        Files.deleteIfExists(config);
        Files.copy(Golden.path(golden).resolve("config.json"), config);
        try (Checkpoint checkpoint = Checkpoint.open(Golden.path(golden))) {
            Map<String, TensorSource> tensors = new TreeMap<>();
            checkpoint.entries().values().forEach(e -> tensors.put(e.name(), TensorSource.of(e)));
            change.accept(tensors);
            Safetensors.write(dir.resolve("model.safetensors"), new ArrayList<>(tensors.values()));
        }
    }

    private void config(Consumer<Map<String, Object>> change) {
        Map<String, Object> json = Json.read(dir.resolve("config.json")).toMap();
        change.accept(json);
        Json.write(dir.resolve("config.json"), json);
    }

    private static TensorSource floats(String name, int... dims) {
        Shape shape = Shape.of(dims);
        return TensorSource.of(name, DType.F32, shape, MemorySegment.ofArray(new float[(int) shape.size()]));
    }
}
