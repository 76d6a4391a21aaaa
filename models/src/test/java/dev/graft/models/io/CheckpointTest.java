package dev.graft.models.io;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.graft.models.Golden;
import dev.graft.tensor.DType;
import dev.graft.tensor.Shape;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class CheckpointTest {
    @TempDir
    Path folder;

    @Test
    void aFolderIsOpenedInTheOrderOfHuggingFace() throws IOException {
        write("pytorch_model.bin.index.json", index("shard.bin"));
        TorchZip.write(folder.resolve("shard.bin"), bytes("from torch shards"));
        assertThat(names(folder)).containsExactly("from torch shards");
        TorchZip.write(folder.resolve("pytorch_model.bin"), bytes("from torch"));
        assertThat(names(folder)).containsExactly("from torch");
        Safetensors.write(folder.resolve("shard.safetensors"), bytes("from shards"));
        write("model.safetensors.index.json", index("shard.safetensors"));
        assertThat(names(folder)).containsExactly("from shards");
        Safetensors.write(folder.resolve("model.safetensors"), bytes("from one file"));
        assertThat(names(folder)).containsExactly("from one file");
    }

    @Test
    void anAdapterIsOpenedFromSafetensorsFirst() {
        TorchZip.write(folder.resolve("adapter_model.bin"), bytes("bin"));
        try (Checkpoint checkpoint = Checkpoint.openAdapter(folder)) {
            assertThat(checkpoint.entries().keySet()).containsExactly("bin");
        }
        Safetensors.write(folder.resolve("adapter_model.safetensors"), bytes("safe"));
        try (Checkpoint checkpoint = Checkpoint.openAdapter(folder)) {
            assertThat(checkpoint.entries().keySet()).containsExactly("safe");
        }
    }

    @Test
    void theFormatIsKnownByTheContentAndNotByTheName() {
        Path file = folder.resolve("pytorch_model.bin");
        Safetensors.write(file, bytes("w"));
        assertThat(names(file)).containsExactly("w");
        TorchZip.write(folder.resolve("model.safetensors"), bytes("v"));
        assertThat(names(folder)).containsExactly("v");
    }

    @Test
    void aFolderWithoutACheckpointSaysWhatWasLookedForAndWhatIsThere() throws IOException {
        assertThatThrownBy(() -> Checkpoint.open(folder)).isInstanceOf(CheckpointException.class).hasMessageContaining("it is empty");
        write("tf_model.h5", "");
        assertThatThrownBy(() -> Checkpoint.open(folder)).isInstanceOf(CheckpointException.class).hasMessageContaining("model.safetensors")
                .hasMessageContaining("pytorch_model.bin.index.json").hasMessageContaining("it has tf_model.h5");
    }

    @Test
    void aMissingTensorIsNamedWithTheNearestThereIs() {
        Safetensors.write(folder.resolve("model.safetensors"),
                bytes("transformer.h.0.ln_1.weight", "transformer.wte.weight", "lm_head.bias"));
        try (Checkpoint checkpoint = Checkpoint.open(folder)) {
            assertThat(checkpoint.find("h.0.ln_1.weight")).isEmpty();
            assertThatThrownBy(() -> checkpoint.require("h.0.ln_1.weight")).isInstanceOf(CheckpointException.class)
                    .hasMessageContaining("model.safetensors: tensor 'h.0.ln_1.weight' is missing")
                    .hasMessageContaining("nearest of 3 names are 'transformer.h.0.ln_1.weight'");
        }
    }

    @Test
    void theMemoryIsNativeAndReadOnlyAndGoneAfterClose() {
        Safetensors.write(folder.resolve("model.safetensors"), bytes("w"));
        Entry entry;
        try (Checkpoint checkpoint = Checkpoint.open(folder); Arena arena = Arena.ofConfined()) {
            entry = checkpoint.require("w");
            MemorySegment bytes = entry.bytes();
            assertThat(bytes.isReadOnly()).isTrue();
            assertThat(bytes.isMapped()).isFalse();
            assertThat(bytes.getClass()).as("one class of segments for all kernels").isEqualTo(arena.allocate(8).getClass());
        }
        assertThatThrownBy(() -> entry.bytes().get(JAVA_BYTE, 0)).isInstanceOf(IllegalStateException.class);
    }

    @Test
    void anIndexKeepsItsOrderAndListsWhatItsShardsHoldBeyondIt() throws IOException {
        Safetensors.write(folder.resolve("one.safetensors"), bytes("a", "extra"));
        Safetensors.write(folder.resolve("two.safetensors"), bytes("b"));
        write("model.safetensors.index.json", "{\"weight_map\": {\"b\": \"two.safetensors\", \"a\": \"one.safetensors\"}}");
        assertThat(names(folder)).containsExactly("b", "a", "extra");
    }

    @Test
    void aTensorTheIndexNamesButItsShardLacksIsReported() throws IOException {
        Safetensors.write(folder.resolve("one.safetensors"), bytes("a"));
        write("model.safetensors.index.json", "{\"weight_map\": {\"a\": \"one.safetensors\", \"b\": \"one.safetensors\"}}");
        refused("model.safetensors.index.json", "tensor 'b' should be in one.safetensors, which does not hold it");
    }

    @Test
    void aTensorInTwoShardsIsTakenFromTheOneTheIndexNames() throws IOException {
        Safetensors.write(folder.resolve("one.safetensors"), bytes("a", "b"));
        Safetensors.write(folder.resolve("two.safetensors"), bytes("b"));
        write("model.safetensors.index.json", "{\"weight_map\": {\"a\": \"one.safetensors\", \"b\": \"two.safetensors\"}}");
        try (Checkpoint checkpoint = Checkpoint.open(folder)) {
            assertThat(checkpoint.require("b").file().getFileName()).hasToString("two.safetensors");
        }
    }

    @Test
    void aTensorInTwoShardsThatTheIndexDoesNotNameIsRefused() throws IOException {
        Safetensors.write(folder.resolve("one.safetensors"), bytes("a", "c"));
        Safetensors.write(folder.resolve("two.safetensors"), bytes("b", "c"));
        write("model.safetensors.index.json", "{\"weight_map\": {\"a\": \"one.safetensors\", \"b\": \"two.safetensors\"}}");
        refused("two.safetensors", "tensor 'c' is in one.safetensors as well");
    }

    @ParameterizedTest
    @ValueSource(strings = {"../model.safetensors", "/etc/passwd", "a/b.safetensors", "a\\\\b.safetensors", "..", ".", "",
            "C:model.safetensors",
            "nul\\u0000.safetensors"})
    void aShardOutsideTheFolderIsRefused(String shard) throws IOException {
        write("model.safetensors.index.json", "{\"weight_map\": {\"a\": \"" + shard + "\"}}");
        refused("model.safetensors.index.json", "\"weight_map.a\" must be the plain name of a file in the same folder");
    }

    @Test
    void anIndexOfIndexesIsRefused() throws IOException {
        write("model.safetensors.index.json", "{\"weight_map\": {\"a\": \"model.safetensors.index.json\"}}");
        refused("model.safetensors.index.json", "must be a file of tensors");
    }

    @Test
    void aShardThatIsNotThereIsNamed() throws IOException {
        write("model.safetensors.index.json", index("model-00001-of-00002.safetensors"));
        refused("model-00001-of-00002.safetensors", "does not exist");
    }

    @ParameterizedTest
    @ValueSource(strings = {"{}", "[]", "", "{\"weight_map\": []}", "{\"weight_map\": null}", "{\"weight_map\": {\"a\": 3}}",
            "{\"weight_map\": {\"a\": null}}", "{\"weight_map\": {\"a\": \"x\", \"a\": \"y\"}}", "{\"weight_map\": {}, \"weight_map\": {}}",
            "{\"weight_map\": {}} {}", "{\"weight_map\": "})
    void aMalformedIndexIsRefused(String text) throws IOException {
        write("model.safetensors.index.json", text);
        refused("model.safetensors.index.json", "");
    }

    @Test
    void aModelInBf16ShardsIsReadAsFloats() {
        try (Checkpoint shards = Checkpoint.open(Golden.path("formats/llama-bf16-sharded"));
                Checkpoint original = Checkpoint.open(Golden.path("models/llama-mha"))) {
            assertThat(shards.files()).hasSize(2);
            assertThat(shards.entries().keySet()).containsExactlyInAnyOrderElementsOf(original.entries().keySet());
            for (Entry entry : shards.entries().values()) {
                assertThat(entry.type()).isEqualTo(StoredType.BF16);
                assertClose(entry, original.require(entry.name()), 1f / 256);
            }
        }
    }

    @Test
    void aModelInF16IsReadAsFloats() {
        try (Checkpoint half = Checkpoint.open(Golden.path("formats/gptj-f16"));
                Checkpoint original = Checkpoint.open(Golden.path("models/gptj"))) {
            for (Entry entry : half.entries().values()) {
                assertThat(entry.type()).isEqualTo(StoredType.F16);
                assertClose(entry, original.require(entry.name()), 1f / 2048);
            }
        }
    }

    @Test
    void aTorchFileWithMaskBuffersHoldsTheWeightsOfTheSafetensorsOne() {
        try (Checkpoint torch = Checkpoint.open(Golden.path("formats/gptj-torch-bin"));
                Checkpoint original = Checkpoint.open(Golden.path("models/gptj"))) {
            for (Entry entry : original.entries().values()) assertClose(torch.require(entry.name()), entry, 0);
            assertThat(torch.entries()).hasSize(original.entries().size() + 4);
            assertThat(torch.require("transformer.h.1.attn.bias")).hasToString("transformer.h.1.attn.bias bool[1, 1, 128, 128]");
            assertThat(floats(torch.require("transformer.h.0.attn.masked_bias"))).containsExactly(-1e9f);
        }
    }

    private static void assertClose(Entry got, Entry want, float relative) {
        assertThat(got.shape()).as(want.name()).isEqualTo(want.shape());
        float[] a = floats(got), b = floats(want);
        for (int i = 0; i < a.length; i++) {
            if (Math.abs(a[i] - b[i]) > relative * Math.abs(b[i]) + (relative > 0 ? 1e-7f : 0)) {
                throw new AssertionError(want.name() + "[" + i + "] is " + a[i] + ", want " + b[i]);
            }
        }
    }

    private static float[] floats(Entry entry) {
        float[] values = new float[(int) entry.shape().size()];
        entry.read(DType.F32, MemorySegment.ofArray(values));
        return values;
    }

    private void refused(String file, String message) {
        assertThatThrownBy(() -> Checkpoint.open(folder)).isInstanceOf(CheckpointException.class)
                .hasMessageContaining(folder.resolve(file) + ": ").hasMessageContaining(message);
    }

    private static List<String> names(Path path) {
        try (Checkpoint checkpoint = Checkpoint.open(path)) {
            return List.copyOf(checkpoint.entries().keySet());
        }
    }

    private static String index(String shard) {
        return "{\"metadata\": {\"total_size\": 1}, \"weight_map\": {\"from " + (shard.endsWith("bin") ? "torch shards" : "shards")
                + "\": \"" + shard
                + "\"}}";
    }

    private static List<TensorSource> bytes(String... names) {
        return List.of(names).stream().map(n -> TensorSource.of(n, DType.I8, Shape.of(1), MemorySegment.ofArray(new byte[1]))).toList();
    }

    private void write(String name, String text) throws IOException {
        Files.writeString(folder.resolve(name), text);
    }
}
