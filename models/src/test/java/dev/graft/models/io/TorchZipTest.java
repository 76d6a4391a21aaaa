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
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.zip.ZipEntry;
import java.util.zip.ZipFile;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class TorchZipTest {
    private static final StoredType[] TYPES = {StoredType.F64, StoredType.F32, StoredType.F16, StoredType.BF16, StoredType.I64,
            StoredType.I32,
            StoredType.I16, StoredType.I8, StoredType.U8, StoredType.BOOL};

    @TempDir
    Path folder;

    @Test
    void stridesAndOffsetsAreHonoured() throws IOException {
        TorchFile torch = TorchFile.dictionary() //
                .tensor("rows", "0", 6, 0, new long[] {2, 3}, new long[] {3, 1}) //
                .tensor("transposed", "0", 6, 0, new long[] {3, 2}, new long[] {1, 3}) //
                .tensor("column", "0", 6, 1, new long[] {2}, new long[] {3}) //
                .tensor("tail", "0", 6, 4, new long[] {2}, new long[] {1}) //
                .tensor("repeated", "0", 6, 5, new long[] {3}, new long[] {0}) //
                .tensor("cube", "0", 6, 0, new long[] {2, 1, 3}, new long[] {1, 99, 2}) //
                .tensor("scalar", "0", 6, 2, new long[0], new long[0]) //
                .tensor("empty", "0", 6, 6, new long[] {0, 3}, new long[] {3, 1}).floats("0", 0, 1, 2, 3, 4, 5);
        try (Checkpoint checkpoint = Checkpoint.open(write(torch.stopped()))) {
            assertThat(floats(checkpoint, "rows")).containsExactly(0, 1, 2, 3, 4, 5);
            assertThat(floats(checkpoint, "transposed")).containsExactly(0, 3, 1, 4, 2, 5);
            assertThat(floats(checkpoint, "column")).containsExactly(1, 4);
            assertThat(floats(checkpoint, "tail")).containsExactly(4, 5);
            assertThat(floats(checkpoint, "repeated")).containsExactly(5, 5, 5);
            assertThat(floats(checkpoint, "cube")).containsExactly(0, 2, 4, 1, 3, 5);
            assertThat(floats(checkpoint, "scalar")).containsExactly(2);
            assertThat(floats(checkpoint, "empty")).isEmpty();
            assertThat(checkpoint.require("scalar").shape()).isEqualTo(Shape.SCALAR);
            assertThat(checkpoint.entries().keySet()).startsWith("rows", "transposed", "column");
        }
    }

    @Test
    void tiedTensorsHaveOneAddress() throws IOException {
        TorchFile torch = TorchFile.dictionary().tensor("embedding", "0", 6, 0, new long[] {2, 3}, new long[] {3, 1})
                .tensor("head", "0", 6, 0, new long[] {2, 3}, new long[] {3, 1}).floats("0", 0, 1, 2, 3, 4, 5);
        try (Checkpoint checkpoint = Checkpoint.open(write(torch.stopped()))) {
            assertThat(checkpoint.require("head").bytes().address()).isEqualTo(checkpoint.require("embedding").bytes().address());
        }
    }

    @Test
    void aParameterIsItsTensor() throws IOException {
        TorchFile torch = TorchFile.dictionary().text("p").global("torch._utils", "_rebuild_parameter")
                .global("torch._utils", "_rebuild_tensor_v2")
                .op('(').storage("FloatStorage", "0", 1).number(0).numbers(1).numbers(1).op(0x89, 'N', 't', 'R', 0x88, 'N', 0x87, 'R', 's')
                .floats("0", 9);
        try (Checkpoint checkpoint = Checkpoint.open(write(torch.stopped()))) {
            assertThat(floats(checkpoint, "p")).containsExactly(9);
        }
    }

    @Test
    void protocolFourWithItsMemoAndFramesIsRead() throws IOException {
        TorchFile torch = new TorchFile().op(0x80, 4, 0x95, 0, 0, 0, 0, 0, 0, 0, 0);
        shortText(torch, "collections").op(0x94);
        shortText(torch, "OrderedDict").op(0x94, 0x93, 0x94, ')', 'R', '(');
        shortText(torch, "w");
        shortText(torch, "torch._utils");
        shortText(torch, "_rebuild_tensor_v2").op(0x93, '(', '(');
        shortText(torch, "storage");
        shortText(torch, "torch");
        shortText(torch, "FloatStorage").op(0x93);
        shortText(torch, "0");
        shortText(torch, "cpu").op('K', 2, 't', 'Q', 'K', 0, 'K', 2, 0x85, 'K', 1, 0x85, 0x89, 'h', 2, ')', 'R', 't', 'R', 'u');
        torch.op('}');
        shortText(torch, "_metadata").op('h', 2, ')', 'R', 's', 'b').floats("0", 7, 8);
        try (Checkpoint checkpoint = Checkpoint.open(write(torch.stopped()))) {
            assertThat(floats(checkpoint, "w")).containsExactly(7, 8);
        }
    }

    @Test
    void typesWithoutAStorageClassAreReadByTheirDtype() throws IOException {
        TorchFile torch = TorchFile.dictionary().text("f8").global("torch._utils", "_rebuild_tensor_v3").op('(') //
                .op('(').text("storage").global("torch.storage", "UntypedStorage").text("0").text("cpu").number(4).op('t', 'Q') //
                .number(1).numbers(3).numbers(1).op(0x89).op('N').global("torch", "float8_e4m3fn").op('t', 'R', 's')
                .entry("data/0", new byte[] {1, 2, 3, 4});
        try (Checkpoint checkpoint = Checkpoint.open(write(torch.stopped()))) {
            assertThat(checkpoint.require("f8")).hasToString("f8 f8_e4m3[3]");
            assertThat(checkpoint.require("f8").bytes().toArray(JAVA_BYTE)).containsExactly(2, 3, 4);
        }
    }

    @Test
    void whatIsWrittenIsReadBack() {
        List<TensorSource> tensors = new ArrayList<>();
        for (StoredType type : TYPES) {
            byte[] bytes = new byte[15 * type.bits() / 8];
            Arrays.fill(bytes, (byte) (type.ordinal() + 1));
            tensors.add(new TensorSource("layer." + type, type, Shape.of(3, 5), () -> MemorySegment.ofArray(bytes)));
        }
        tensors.add(TensorSource.of("scalar", DType.F32, Shape.SCALAR, MemorySegment.ofArray(new float[] {2})));
        tensors.add(TensorSource.of("empty é", DType.F32, Shape.of(0, 4), MemorySegment.ofArray(new float[0])));
        Path file = folder.resolve("adapter_model.bin");
        TorchZip.write(file, tensors);
        try (Checkpoint checkpoint = Checkpoint.openAdapter(folder)) {
            assertThat(checkpoint.entries().keySet()).containsExactlyElementsOf(tensors.stream().map(TensorSource::name).toList());
            for (TensorSource t : tensors) {
                Entry entry = checkpoint.require(t.name());
                assertThat(entry.type()).isEqualTo(t.type());
                assertThat(entry.shape()).isEqualTo(t.shape());
                assertThat(entry.bytes().mismatch(t.bytes().get())).as(t.name()).isEqualTo(-1);
                assertThat(entry.bytes().byteSize() == 0 || entry.bytes().address() % 64 == 0).as("%s is aligned", t.name()).isTrue();
            }
        }
    }

    @Test
    void whatIsWrittenIsASoundZip() throws IOException {
        Path file = folder.resolve("adapter_model.bin");
        float[] values = {1, 2, 3};
        TorchZip.write(file, List.of(TensorSource.of("w", DType.F32, Shape.of(3), MemorySegment.ofArray(values))));
        try (var zip = new ZipFile(file.toFile())) {
            Set<String> names = new HashSet<>();
            for (ZipEntry entry : java.util.Collections.list(zip.entries())) {
                names.add(entry.getName());
                byte[] content = zip.getInputStream(entry).readAllBytes();
                var crc = new java.util.zip.CRC32();
                crc.update(content);
                assertThat(entry.getCrc()).as(entry.getName()).isEqualTo(crc.getValue());
                assertThat(entry.getMethod()).isEqualTo(ZipEntry.STORED);
            }
            assertThat(names).containsExactlyInAnyOrder("archive/data.pkl", "archive/.format_version", "archive/.storage_alignment",
                    "archive/byteorder", "archive/data/0", "archive/version");
            assertThat(zip.getInputStream(zip.getEntry("archive/version")).readAllBytes()).isEqualTo("3\n".getBytes());
            assertThat(zip.getInputStream(zip.getEntry("archive/byteorder")).readAllBytes()).isEqualTo("little".getBytes());
        }
    }

    @Test
    void theSameTensorsGiveTheSameBytes() throws IOException {
        List<TensorSource> tensors = List.of(TensorSource.of("w", DType.F32, Shape.of(3), MemorySegment.ofArray(new float[] {1, 2, 3})));
        TorchZip.write(folder.resolve("first.bin"), tensors);
        TorchZip.write(folder.resolve("second.bin"), tensors);
        assertThat(Files.mismatch(folder.resolve("first.bin"), folder.resolve("second.bin"))).isEqualTo(-1);
    }

    @Test
    void aTypeTorchHasNoStorageForIsRefused() {
        var source = new TensorSource("w", StoredType.F8_E4M3, Shape.of(1), () -> MemorySegment.ofArray(new byte[1]));
        assertThatThrownBy(() -> TorchZip.write(folder.resolve("w.bin"), List.of(source))).isInstanceOf(CheckpointException.class)
                .hasMessageContaining("'w' is F8_E4M3");
        assertThat(folder.resolve("w.bin")).doesNotExist();
    }

    @Test
    void everyAdapterOfLlmAdaptersIsTheSameInBothFormats() {
        int compared = 0;
        for (Path base : Golden.folders("llm-adapters")) {
            for (Path method : Golden.folders("llm-adapters/" + base.getFileName())) {
                Path rewritten = folder.resolve("rewritten.bin");
                try (Checkpoint bin = Checkpoint.open(method.resolve("adapter_model.bin"));
                        Checkpoint safe = Checkpoint.openAdapter(method)) {
                    assertThat(safe.path().getFileName()).hasToString("adapter_model.safetensors");
                    assertSame(bin, safe);
                    TorchZip.write(rewritten, bin.entries().values().stream().map(TensorSource::of).toList());
                }
                try (Checkpoint again = Checkpoint.open(rewritten); Checkpoint safe = Checkpoint.openAdapter(method)) {
                    assertSame(again, safe);
                }
                compared++;
            }
        }
        assertThat(compared).isEqualTo(21);
    }

    private static void assertSame(Checkpoint a, Checkpoint b) {
        assertThat(a.entries().keySet()).isNotEmpty().containsExactlyInAnyOrderElementsOf(b.entries().keySet());
        a.entries().forEach((name, entry) -> {
            Entry other = b.require(name);
            assertThat(entry).hasToString(other.toString());
            assertThat(entry.bytes().mismatch(other.bytes())).as(name).isEqualTo(-1);
        });
    }

    private static TorchFile shortText(TorchFile torch, String text) {
        return torch.op(0x8c, text.length()).op(text.chars().toArray());
    }

    private Path write(byte[] bytes) throws IOException {
        return Files.write(folder.resolve("pytorch_model.bin"), bytes);
    }

    private static float[] floats(Checkpoint checkpoint, String name) {
        Entry entry = checkpoint.require(name);
        float[] values = new float[(int) entry.shape().size()];
        entry.read(DType.F32, MemorySegment.ofArray(values));
        return values;
    }
}
