package dev.graft.peft;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.graft.models.CausalLm;
import dev.graft.models.Golden;
import dev.graft.models.GoldenTensors;
import dev.graft.models.ModelLoader;
import dev.graft.models.io.Checkpoint;
import dev.graft.models.io.CheckpointException;
import dev.graft.models.io.Entry;
import dev.graft.models.io.Json;
import dev.graft.models.io.Safetensors;
import dev.graft.models.io.TensorSource;
import dev.graft.models.io.TorchZip;
import dev.graft.nn.Layer;
import dev.graft.peft.method.Bottleneck;
import dev.graft.peft.method.Lora;
import dev.graft.tensor.DType;
import dev.graft.tensor.Shape;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// Adapters on disk, ours and those of PEFT and LLM-Adapters.
class AdapterFolderTest {
    private static final String BASE = "models/llama-gqa-tied";

    @TempDir
    Path folder;

    private CausalLm model;

    @BeforeEach
    void open() {
        model = ModelLoader.load(Golden.path(BASE));
    }

    @AfterEach
    void close() {
        model.close();
    }

    /// Copies a golden adapter, its tensors changed on the way.
    private void copy(String golden, UnaryOperator<List<TensorSource>> change) throws IOException {
        Path from = Golden.path(golden);
        Files.copy(from.resolve("adapter_config.json"), folder.resolve("adapter_config.json"));
        try (Checkpoint checkpoint = Checkpoint.openAdapter(from)) {
            Safetensors.write(folder.resolve("adapter_model.safetensors"),
                    change.apply(checkpoint.entries().values().stream().map(TensorSource::of).toList()));
        }
    }

    // ---- there and back ----

    @ParameterizedTest
    @ValueSource(strings = {"lora", "lora-all", "lora-rs", "lora-rank-pattern"})
    void whatPeftSavedIsWrittenAgainByteForByte(String name) throws IOException {
        Path golden = Golden.path("peft/llama-gqa-tied/" + name);
        try (Peft peft = Peft.load(model, golden)) {
            peft.save(folder, "models/llama-gqa-tied");
        }
        assertThat(folder.resolve("adapter_model.safetensors")).hasSameBinaryContentAs(golden.resolve("adapter_model.safetensors"));
        Map<String, Object> theirs = Json.read(golden.resolve("adapter_config.json")).toMap();
        Map<String, Object> ours = Json.read(folder.resolve("adapter_config.json")).toMap();
        assertThat(theirs).containsAllEntriesOf(ours);
    }

    @ParameterizedTest
    @ValueSource(strings = {"series-h", "series-p", "parallel", "scaled-parallel", "scaled-parallel-learned"})
    void whatLlmAdaptersSavedIsWrittenAgain(String name) {
        Path golden = Golden.path("llm-adapters/llama-gqa-tied/" + name);
        float[] logits;
        try (Peft peft = Peft.load(model, golden)) {
            peft.save(folder, "llama-gqa-tied");
            logits = logits();
        }
        assertThat(folder).isDirectoryContaining("glob:**/adapter_model.bin").isDirectoryNotContaining("glob:**.safetensors");
        try (Peft _ = Peft.load(model, folder)) {
            assertThat(logits()).isEqualTo(logits);
        }
        assertThat(Json.read(folder.resolve("adapter_config.json")).toMap())
                .containsAllEntriesOf(withoutNulls(Json.read(golden.resolve("adapter_config.json")).toMap()));
    }

    private static Map<String, Object> withoutNulls(Map<String, Object> map) {
        map.values().removeIf(java.util.Objects::isNull);
        return map;
    }

    private float[] logits() {
        try (GoldenTensors golden = GoldenTensors.of("peft/llama-gqa-tied/lora"); var _ = dev.graft.tensor.Scope.open()) {
            return model.logits(golden.inputs("")).toFloats();
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"peft/llama-gqa-tied/lora", "llm-adapters/llama-gqa-tied/series-h"})
    void bothKindsOfFileAreReadForBothKindsOfAdapter(String golden) throws IOException {
        float[] expected;
        try (Peft _ = Peft.load(model, Golden.path(golden))) {
            expected = logits();
        }
        copy(golden, t -> t);
        try (Checkpoint checkpoint = Checkpoint.openAdapter(folder)) {
            TorchZip.write(folder.resolve("adapter_model.bin"), checkpoint.entries().values().stream().map(TensorSource::of).toList());
        }
        for (String other : List.of("adapter_model.bin", "adapter_model.safetensors")) {
            Path one = Files.createDirectories(folder.resolve("one-" + other));
            Files.copy(folder.resolve("adapter_config.json"), one.resolve("adapter_config.json"));
            Files.copy(folder.resolve(other), one.resolve(other));
            try (Peft _ = Peft.load(model, one)) {
                assertThat(logits()).isEqualTo(expected);
            }
        }
    }

    /// A reader would take the first file it knows for the adapter.
    @Test
    void savingAnotherKindIntoTheSameFolderLeavesNoOldFile() {
        for (Adapter adapter : List.of(Lora.of(2, 2, "q_proj"), Bottleneck.AFTER_MLP.with("bottleneck_size", 2), Lora.of(3, 3, "q_proj"))) {
            try (Peft peft = Peft.attach(model, adapter)) {
                peft.save(folder);
                assertThat(folder.toFile().list()).containsExactlyInAnyOrder("adapter_config.json", adapter.format().file());
            }
            try (Peft again = Peft.load(model, folder)) {
                assertThat(again.adapter(Peft.DEFAULT).adapter().peftType()).isEqualTo(adapter.peftType());
            }
        }
    }

    @Test
    void adaptersWithNamesGoIntoFoldersOfTheirOwn() {
        try (Peft peft = Peft.of(model)) {
            peft.add(Peft.DEFAULT, Lora.of(2, 2, "q_proj"), 1);
            peft.add("other", Lora.of(3, 2, "v_proj").with("init_lora_weights", false), 1);
            peft.use("other");
            float[] other = logits();
            peft.save(folder);
            peft.detach("other");
            peft.add("other", folder.resolve("other"));
            peft.use("other");
            assertThat(logits()).isEqualTo(other);
        }
        try (Checkpoint saved = Checkpoint.openAdapter(folder.resolve("other"))) {
            assertThat(saved.entries()).containsKey("base_model.model.model.layers.0.self_attn.v_proj.lora_A.weight").hasSize(6);
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"BF16", "F16"})
    void halfPrecisionTensorsAreWidened(String type) throws IOException {
        DType half = DType.valueOf(type);
        try (Arena arena = Arena.ofConfined()) {
            copy("peft/llama-gqa-tied/lora", tensors -> {
                List<TensorSource> narrow = new ArrayList<>();
                try (Checkpoint checkpoint = Checkpoint.openAdapter(Golden.path("peft/llama-gqa-tied/lora"))) {
                    for (Entry e : checkpoint.entries().values()) {
                        MemorySegment bytes = arena.allocate(e.shape().size() * 2, 64);
                        e.read(half, bytes);
                        narrow.add(TensorSource.of(e.name(), half, e.shape(), bytes));
                    }
                }
                return narrow;
            });
        }
        try (Peft peft = Peft.load(model, folder); GoldenTensors golden = GoldenTensors.of("peft/llama-gqa-tied/lora")) {
            assertThat(peft.parameters()).allMatch(p -> p.value().dtype() == DType.F32);
            float[] logits = logits();
            float[] expected = golden.floats("logits");
            int[][] mask = golden.ints("attention_mask");
            for (int i = 0; i < logits.length; i++) if (mask[i / 96 / 17][i / 96 % 17] == 0) logits[i] = 0;
            GoldenTensors.check("logits", logits, expected, 0.1);
        }
    }

    // ---- what does not fit ----

    @Test
    void whatIsLeftOverOnEitherSideIsNamed() throws IOException {
        copy("peft/llama-gqa-tied/lora", tensors -> tensors.stream().map(t -> t.name().contains("layers.1.self_attn.q_proj.lora_A")
                ? new TensorSource(t.name().replace("layers.1", "layers.7"), t.type(), t.shape(), t.bytes()) : t).toList());
        assertThatThrownBy(() -> Peft.load(model, folder)).isInstanceOf(CheckpointException.class).hasMessage(folder
                .resolve("adapter_model.safetensors")
                + ": does not fit: 1 of its tensors have no place in the adapted model (base_model.model.model.layers.7.self_attn.q_proj.lora_A.weight); "
                + "1 of the 12 tensors the adapter needs are not in it (base_model.model.model.layers.1.self_attn.q_proj.lora_A.weight)");
        assertThat(model.modules(Layer.class)).noneMatch(Layer::isSurrounded);
        try (Peft peft = Peft.of(model)) {
            Loading loading = peft.addLeniently("some", folder);
            assertThat(loading.unusedKeys()).containsExactly("base_model.model.model.layers.7.self_attn.q_proj.lora_A.weight");
            assertThat(loading.missingKeys()).containsExactly("base_model.model.model.layers.1.self_attn.q_proj.lora_A.weight");
            assertThat(peft.used()).containsKey("some");
        }
    }

    @Test
    void anAdapterOfAnotherModelIsRefused() {
        assertThatThrownBy(() -> Peft.load(model, Golden.path("peft/bloom-h4/lora"))).isInstanceOf(AdapterException.class)
                .hasMessageStartingWith("no layer matches [query_key_value]; the model has [");
        try (CausalLm other = ModelLoader.load(Golden.path("models/llama-mha"))) {
            assertThatThrownBy(() -> Peft.load(other, Golden.path("peft/llama-gqa-tied/lora"))).isInstanceOf(CheckpointException.class)
                    .hasMessageContaining("has shape [4, 48]; the adapter's config and this model ask for [4, ");
        }
    }

    @Test
    void anotherShapeIsAnErrorEvenLeniently() throws IOException {
        copy("peft/llama-gqa-tied/lora", tensors -> tensors.stream().map(t -> t.name().contains("layers.0.self_attn.q_proj.lora_A")
                ? new TensorSource(t.name(), t.type(), Shape.of(48, 4), t.bytes()) : t).toList());
        try (Peft peft = Peft.of(model)) {
            assertThatThrownBy(() -> peft.addLeniently("x", folder)).isInstanceOf(CheckpointException.class)
                    .hasMessageContaining("layers.0.self_attn.q_proj.lora_A.weight' has shape [48, 4]")
                    .hasMessageContaining("ask for [4, 48]");
            assertThat(peft.adapters()).isEmpty();
        }
    }

    @Test
    void theBasesOwnWeightBesideAnAdapterIsPassedOverWhenItIsTheSame() throws IOException {
        for (boolean same : new boolean[] {true, false}) {
            try (Peft peft = Peft.attach(model, Lora.of(2, 2, "embed_tokens")); Arena arena = Arena.ofConfined()) {
                peft.save(folder);
                List<TensorSource> tensors = new ArrayList<>();
                MemorySegment base = arena.allocate(96 * 48 * 4, 64);
                model.embedding().weight().value().copyTo(base);
                if (!same) base.set(java.lang.foreign.ValueLayout.JAVA_FLOAT, 0, 5f);
                tensors.add(TensorSource.of("base_model.model.model.embed_tokens.base_layer.weight", DType.F32, Shape.of(96, 48), base));
                peft.adapter(Peft.DEFAULT).saved().forEach((key, p) -> {
                    MemorySegment bytes = arena.allocate(p.value().spec().bytes(), 64);
                    p.value().copyTo(bytes);
                    tensors.add(TensorSource.of(key, DType.F32, p.shape(), bytes));
                });
                Safetensors.write(folder.resolve("adapter_model.safetensors"), tensors);
            }
            if (same) Peft.load(model, folder).close();
            else
                assertThatThrownBy(() -> Peft.load(model, folder))
                        .hasMessageContaining("no place in the adapted model (base_model.model.model.embed_tokens.base_layer.weight)");
        }
    }

    @Test
    void aFolderThatIsNoAdapterIsNamed() {
        assertThatThrownBy(() -> Peft.load(model, Golden.path(BASE))).isInstanceOf(CheckpointException.class)
                .hasMessageContaining("is not an adapter: it has no adapter_config.json");
        Json.write(folder.resolve("adapter_config.json"), Map.of("peft_type", "LORA", "target_modules", List.of("q_proj")));
        assertThatThrownBy(() -> Peft.load(model, folder)).isInstanceOf(CheckpointException.class)
                .hasMessageContaining("holds none of adapter_model.safetensors, adapter_model.bin; it has adapter_config.json");
        assertThat(model.parameters()).noneMatch(p -> p.isTrainable());
    }

    /// Seeded damage to both files of valid adapters: a clear error or a load, nothing else.
    @ParameterizedTest
    @ValueSource(strings = {"peft/llama-gqa-tied/lora", "llm-adapters/llama-gqa-tied/scaled-parallel-learned"})
    void damagedFilesGiveOneClearErrorOrLoad(String golden) throws IOException {
        Path from = Golden.path(golden);
        String weights = golden.startsWith("peft") ? "adapter_model.safetensors" : "adapter_model.bin";
        byte[] config = Files.readAllBytes(from.resolve("adapter_config.json"));
        byte[] tensors = Files.readAllBytes(from.resolve(weights));
        int refused = 0;
        for (int i = 0; i < 150; i++) {
            Random random = new Random(i);
            Files.write(folder.resolve("adapter_config.json"), i % 2 == 0 ? damaged(config, random) : config);
            Files.write(folder.resolve(weights), i % 2 == 1 ? damaged(tensors, random) : tensors);
            try (Peft peft = Peft.load(model, folder)) {
                assertThat(peft.parameters()).isNotEmpty();
            } catch (CheckpointException | AdapterException e) {
                assertThat(e.getMessage()).isNotBlank().hasSizeLessThan(2000);
                refused++;
            }
            assertThat(model.modules(Layer.class)).noneMatch(Layer::isSurrounded);
        }
        assertThat(refused).isGreaterThan(75);
    }

    private static byte[] damaged(byte[] original, Random random) {
        byte[] bytes = original.clone();
        switch (random.nextInt(4)) {
            case 0 -> bytes = java.util.Arrays.copyOf(bytes, random.nextInt(bytes.length));
            case 1 -> bytes[random.nextInt(bytes.length)] = (byte) random.nextInt(256);
            case 2 -> {
                int at = random.nextInt(Math.min(bytes.length, 3000));
                for (int i = at; i < Math.min(bytes.length, at + 8); i++) bytes[i] = (byte) random.nextInt(256);
            }
            default -> {
                for (int i = 0; i < 5; i++) bytes[random.nextInt(Math.min(bytes.length, 2000))] ^= (byte) (1 << random.nextInt(8));
            }
        }
        return bytes;
    }
}
