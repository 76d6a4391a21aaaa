package dev.graft.models.io;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.graft.models.Golden;
import dev.graft.tensor.DType;
import dev.graft.tensor.Shape;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class SafetensorsTest {
    @TempDir
    Path folder;

    @ParameterizedTest
    @ValueSource(strings = {"models/llama-mha/model.safetensors", "formats/gptj-f16/model.safetensors",
            "models/bloom-h6-postln/io.safetensors",
            "formats/llama-bf16-sharded/model-00001-of-00002.safetensors", "peft/llama-gqa-tied/dora/adapter_model.safetensors"})
    void writesTheBytesOfThePythonLibrary(String golden) throws IOException {
        Path original = Golden.path(golden), copy = folder.resolve("copy.safetensors");
        try (Checkpoint checkpoint = Checkpoint.open(original)) {
            List<TensorSource> shuffled = new ArrayList<>(sources(checkpoint));
            Collections.reverse(shuffled);
            Safetensors.write(copy, shuffled, checkpoint.metadata());
        }
        assertThat(Files.mismatch(original, copy)).as("first byte that differs").isEqualTo(-1);
    }

    @Test
    void everyTypeShapeAndNameComesBack() {
        List<TensorSource> tensors = new ArrayList<>();
        for (StoredType type : StoredType.values()) {
            Shape shape = Shape.of(1, 4, 2);
            byte[] bytes = new byte[8 * type.bits() / 8];
            for (int i = 0; i < bytes.length; i++) bytes[i] = (byte) (type.ordinal() * 31 + i);
            tensors.add(new TensorSource("layer." + type, type, shape, () -> MemorySegment.ofArray(bytes)));
        }
        tensors.add(TensorSource.of("scalar", DType.F32, Shape.SCALAR, MemorySegment.ofArray(new float[] {3.5f})));
        tensors.add(TensorSource.of("empty", DType.F64, Shape.of(3, 0, 5), MemorySegment.ofArray(new double[0])));
        tensors.add(TensorSource.of("one byte", DType.I8, Shape.of(1), MemorySegment.ofArray(new byte[] {-7})));
        tensors.add(TensorSource.of("\"quoted\\\" \n é \uD83D\uDE00", DType.I8, Shape.of(3), MemorySegment.ofArray(new byte[] {1, 2, 3})));
        Path file = folder.resolve("all.safetensors");
        Safetensors.write(file, tensors, Map.of("format", "pt", "b", "2", "a", "ü"));
        try (Checkpoint checkpoint = Checkpoint.open(file)) {
            assertThat(checkpoint.metadata()).isEqualTo(Map.of("format", "pt", "b", "2", "a", "ü"));
            assertThat(checkpoint.entries().keySet())
                    .containsExactlyInAnyOrderElementsOf(tensors.stream().map(TensorSource::name).toList());
            for (TensorSource t : tensors) {
                Entry entry = checkpoint.require(t.name());
                assertThat(entry.type()).isEqualTo(t.type());
                assertThat(entry.shape()).isEqualTo(t.shape());
                assertThat(entry.bytes().mismatch(t.bytes().get())).as(t.name()).isEqualTo(-1);
            }
        }
    }

    @Test
    void theDataBlockBeginsAtAMultipleOfEight() throws IOException {
        for (int length = 1; length <= 9; length++) {
            Path file = folder.resolve("aligned.safetensors");
            Safetensors.write(file,
                    List.of(TensorSource.of("n".repeat(length), DType.I8, Shape.of(1), MemorySegment.ofArray(new byte[1]))));
            assertThat(Files.size(file) % 8).isEqualTo(1);
        }
    }

    @Test
    void tensorsAtOddBytesAreRead() throws IOException {
        byte[] bytes = SafetensorsFile.of("{" + SafetensorsFile.tensor("byte", "U8", "[1]", "[0,1]") + ","
                + SafetensorsFile.tensor("floats", "F32", "[2]", "[1,9]") + "}   ", 9);
        Path file = Files.write(folder.resolve("odd.safetensors"), bytes);
        try (Checkpoint checkpoint = Checkpoint.open(file)) {
            float[] floats = new float[2];
            checkpoint.require("floats").read(DType.F32, MemorySegment.ofArray(floats));
            assertThat(floats).containsExactly(Float.intBitsToFloat(0x04030201), Float.intBitsToFloat(0x08070605));
        }
    }

    @Test
    void tensorsComeInTheOrderOfTheHeader() throws IOException {
        byte[] bytes = SafetensorsFile.of("{" + SafetensorsFile.tensor("z", "U8", "[1]", "[1,2]") + ","
                + SafetensorsFile.tensor("a", "U8", "[1]", "[0,1]") + "}", 2);
        try (Checkpoint checkpoint = Checkpoint.open(Files.write(folder.resolve("order.safetensors"), bytes))) {
            assertThat(checkpoint.entries().keySet()).containsExactly("z", "a");
            assertThat(checkpoint.require("z").bytes().get(JAVA_BYTE, 0)).isEqualTo((byte) 1);
        }
    }

    @Test
    void aTypeWithoutArithmeticIsListedAndRefusedWhenRead() throws IOException {
        byte[] bytes = SafetensorsFile.of("{" + SafetensorsFile.tensor("mask", "BOOL", "[4]", "[0,4]") + "}", 4);
        try (Checkpoint checkpoint = Checkpoint.open(Files.write(folder.resolve("bool.safetensors"), bytes))) {
            Entry mask = checkpoint.require("mask");
            assertThat(mask).hasToString("mask bool[4]");
            assertThatThrownBy(() -> mask.read(DType.F32, MemorySegment.ofArray(new float[4]))).isInstanceOf(CheckpointException.class)
                    .hasMessageContaining("bool.safetensors: tensor 'mask' is stored as BOOL").hasMessageContaining("F32");
        }
    }

    @Test
    void whatWasAskedForTwiceIsRefused() {
        TensorSource t = TensorSource.of("t", DType.I8, Shape.of(1), MemorySegment.ofArray(new byte[1]));
        assertThatThrownBy(() -> Safetensors.write(folder.resolve("twice"), List.of(t, t))).isInstanceOf(CheckpointException.class)
                .hasMessageContaining("'t' was given twice");
        assertThatThrownBy(() -> Safetensors.writeModel(folder, List.of(t, t), 1)).isInstanceOf(CheckpointException.class)
                .hasMessageContaining("'t' was given twice");
    }

    @Test
    void aTensorOfTheWrongLengthLeavesTheOldFileAsItWas() throws IOException {
        Path file = folder.resolve("kept.safetensors");
        Safetensors.write(file, List.of(TensorSource.of("t", DType.I8, Shape.of(3), MemorySegment.ofArray(new byte[3]))));
        byte[] before = Files.readAllBytes(file);
        TensorSource wrong = TensorSource.of("t", DType.I8, Shape.of(3), MemorySegment.ofArray(new byte[4]));
        assertThatThrownBy(() -> Safetensors.write(file, List.of(wrong))).isInstanceOf(CheckpointException.class)
                .hasMessageContaining("'t' is I8[3] and takes 3 bytes; 4 were given");
        assertThat(file).hasBinaryContent(before);
        try (Stream<Path> left = Files.list(folder)) {
            assertThat(left).as("no draft left behind").containsExactly(file);
        }
    }

    @Test
    void oneBufferMayServeAllTensors() {
        byte[] buffer = new byte[4];
        List<TensorSource> tensors = new ArrayList<>();
        for (byte i = 0; i < 5; i++) {
            byte value = i;
            tensors.add(new TensorSource("t" + i, StoredType.I8, Shape.of(4), () -> {
                java.util.Arrays.fill(buffer, value);
                return MemorySegment.ofArray(buffer);
            }));
        }
        Path file = folder.resolve("streamed.safetensors");
        Safetensors.write(file, tensors);
        try (Checkpoint checkpoint = Checkpoint.open(file)) {
            for (byte i = 0; i < 5; i++) assertThat(checkpoint.require("t" + i).bytes().toArray(JAVA_BYTE)).containsOnly(i);
        }
    }

    @Test
    void aModelBeyondTheLimitIsWrittenInShards() {
        List<TensorSource> tensors = new ArrayList<>();
        for (int i = 0; i < 7; i++) tensors.add(bytes("t" + i, 100 * (i + 1)));
        Safetensors.writeModel(folder, tensors, 600); // 100+200+300, 400, 500, 600, 700 alone though it is larger
        assertThat(names()).containsExactly("model-00001-of-00005.safetensors", "model-00002-of-00005.safetensors",
                "model-00003-of-00005.safetensors", "model-00004-of-00005.safetensors", "model-00005-of-00005.safetensors",
                "model.safetensors.index.json");
        JsonObject index = Json.read(folder.resolve("model.safetensors.index.json"));
        assertThat(index.requireObject("metadata").requireInt("total_size")).isEqualTo(2800);
        try (Checkpoint checkpoint = Checkpoint.open(folder)) {
            assertThat(checkpoint.entries()).hasSize(7);
            assertThat(checkpoint.files()).hasSize(5);
            assertThat(checkpoint.require("t6").file().getFileName()).hasToString("model-00005-of-00005.safetensors");
            assertThat(checkpoint.require("t6").bytes().byteSize()).isEqualTo(700);
        }
    }

    @Test
    void aModelWrittenOverAnotherLeavesNothingOfIt() {
        List<TensorSource> large = List.of(bytes("a", 100), bytes("b", 100), bytes("c", 100)), small = List.of(bytes("d", 10));
        Safetensors.writeModel(folder, large, 100);
        Safetensors.writeModel(folder, small, 100);
        assertThat(names()).containsExactly("model.safetensors");
        Safetensors.writeModel(folder, large, 200);
        assertThat(names()).containsExactly("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors",
                "model.safetensors.index.json");
        try (Checkpoint checkpoint = Checkpoint.open(folder)) {
            assertThat(checkpoint.entries().keySet()).containsExactly("a", "b", "c");
        }
    }

    private static TensorSource bytes(String name, int size) {
        return TensorSource.of(name, DType.I8, Shape.of(size), MemorySegment.ofArray(new byte[size]));
    }

    private List<String> names() {
        try (Stream<Path> files = Files.list(folder)) {
            return files.map(f -> f.getFileName().toString()).sorted().toList();
        } catch (IOException e) {
            throw new java.io.UncheckedIOException(e);
        }
    }

    private static List<TensorSource> sources(Checkpoint checkpoint) {
        return checkpoint.entries().values().stream().map(TensorSource::of).toList();
    }
}
