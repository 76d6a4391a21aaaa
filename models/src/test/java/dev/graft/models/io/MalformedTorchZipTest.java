package dev.graft.models.io;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.params.provider.Arguments.arguments;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.function.Consumer;
import java.util.stream.Stream;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/// Every way a torch file can be wrong or wicked, and the one error that says so.
class MalformedTorchZipTest {
    private static final long[] TWO_BY_THREE = {2, 3}, ROWS = {3, 1};

    @TempDir
    Path folder;

    static Stream<Arguments> malformedPickles() {
        return Stream.of(
                wrong("a call of os.system", TorchFile.dictionary().text("a").global("os", "system").text("rm -rf /").op(0x85, 'R', 's'),
                        "'os.system'", "not allowed"),
                wrong("eval by STACK_GLOBAL", TorchFile.dictionary().text("builtins").text("eval").op(0x93), "'builtins.eval'",
                        "not allowed"),
                wrong("a forbidden name that is never called", TorchFile.dictionary().text("a").global("builtins", "exec").op('s'),
                        "'builtins.exec'", "not allowed"),
                wrong("a class of torch that is no tensor", TorchFile.dictionary().global("torch._utils", "_rebuild_sparse_tensor"),
                        "'torch._utils._rebuild_sparse_tensor'"),
                wrong("a training checkpoint with its arguments", TorchFile.dictionary().global("argparse", "Namespace"),
                        "'argparse.Namespace'"),
                wrong("INST, an opcode that calls", TorchFile.dictionary().op('i'), "opcode 0x69 at byte 3"),
                wrong("OBJ, an opcode that calls", TorchFile.dictionary().op('(', 'o'), "opcode 0x6f"),
                wrong("EXT1, an opcode that imports", TorchFile.dictionary().op(0x82, 1), "opcode 0x82"),
                wrong("NEWOBJ, an opcode that makes objects", TorchFile.dictionary().op(')', 0x81), "opcode 0x81"),
                wrong("a call of a string", TorchFile.dictionary().text("a").op(')', 'R'), "calls a string"),
                wrong("a call with no tuple", TorchFile.dictionary().global("collections", "OrderedDict").op('N', 'R'),
                        "calls with None as arguments"),
                wrong("a call of a storage class", TorchFile.dictionary().global("torch", "FloatStorage").op(')', 'R'),
                        "calls a storagetype"),
                wrong("an OrderedDict with arguments", TorchFile.dictionary().global("collections", "OrderedDict").op(']', 0x85, 'R'),
                        "OrderedDict with 1 arguments"),
                wrong("attributes set on a list", TorchFile.dictionary().op(']', '}', 'b'), "sets attributes of a list"),
                wrong("no PROTO", TorchFile.of(new byte[] {'}', '.'}), "does not begin with PROTO"),
                wrong("protocol 1", TorchFile.of(new byte[] {(byte) 0x80, 1, '}'}), "is of protocol 1"),
                wrong("a pickle that is only a STOP", TorchFile.of(new byte[0]), "does not begin with PROTO"),
                wrong("a pickle that pops what it has not pushed", TorchFile.of(new byte[] {(byte) 0x80, 2, 's'}), "before making it"),
                wrong("a group that was never opened", TorchFile.dictionary().op('t'), "closes a group"),
                wrong("a mark in the place of a value", TorchFile.dictionary().text("a").op('(', 's'), "before making it"),
                wrong("a recalled object that was never kept", TorchFile.dictionary().op('h', 5), "recalls object 5"),
                wrong("an object kept under a negative number", TorchFile.dictionary().op('r', 255, 255, 255, 255), "4294967295"),
                wrong("a string longer than the file", TorchFile.dictionary().op('X', 255, 255, 255, 255), "ends in the middle"),
                wrong("a string that is not UTF-8", TorchFile.dictionary().op(0x8c, 1, 0xff), "not UTF-8"),
                wrong("a number of a thousand bits", TorchFile.dictionary().op(0x8a, 125).op(new int[124]).op(1), "does not fit 64 bits"),
                wrong("a global without an end of line", TorchFile.dictionary().op('c', 'o', 's'), "ends in the middle"),
                wrong("objects left over", TorchFile.dictionary().op('N'), "stops with 1 objects left over"),
                wrong("opcodes after STOP", TorchFile.dictionary().op('.', 'N'), "goes on after its STOP"),
                wrong("a list as key", TorchFile.dictionary().op(']', 'N', 's'), "has a list as a key"),
                wrong("a list that is its own key", TorchFile.dictionary().op(']', 'q', 0, 'h', 0, 'a', 'h', 0, 's'),
                        "has a list as a key"),
                wrong("a key without a value", TorchFile.dictionary().op('(').text("a").op('u'), "key without a value"),
                wrong("a name twice", tensor(0, TWO_BY_THREE, ROWS).tensor("a", "0", 6, 0, TWO_BY_THREE, ROWS), "the key 'a' twice"),
                wrong("a list of tensors", TorchFile.of(new byte[] {(byte) 0x80, 2, ']'}), "holds a list and not a dictionary"),
                wrong("a value that is no tensor", TorchFile.dictionary().text("epoch").number(3).op('s'), "has a number under 'epoch'"),
                wrong("a state dictionary inside another", TorchFile.dictionary().text("state_dict").op('}', 's'),
                        "has a dictionary under 'state_dict'"),
                wrong("a number as name", TorchFile.dictionary().number(3).op('N', 's'), "key that is a number"),

                wrong("a negative offset", tensor(-1, TWO_BY_THREE, ROWS), "'a'", "from element -1"),
                wrong("an offset beyond the storage", tensor(1, TWO_BY_THREE, ROWS), "'a'", "[3, 1] from element 1",
                        "beyond its storage of 6"),
                wrong("a negative size", tensor(0, new long[] {-2, -3}, ROWS), "'a'", "size of -2"),
                wrong("a negative stride", tensor(5, TWO_BY_THREE, new long[] {-3, -1}), "'a'", "strides must not be negative"),
                wrong("a stride beyond the storage", tensor(0, TWO_BY_THREE, new long[] {4, 1}), "beyond its storage"),
                wrong("the largest stride there is", tensor(0, new long[] {2, 1}, new long[] {Long.MAX_VALUE, 1}), "beyond its storage"),
                wrong("strides that overflow together", tensor(0, TWO_BY_THREE, new long[] {Long.MAX_VALUE, Long.MAX_VALUE}),
                        "beyond 2^63"),
                wrong("an empty tensor beyond its storage", tensor(7, new long[] {0, 3}, ROWS), "beyond its storage"),
                wrong("a size beyond 2^31", tensor(0, new long[] {1L << 32, 3}, ROWS), "size of 4294967296"),
                wrong("a product that overflows", tensor(0, new long[] {1 << 30, 1 << 30, 1 << 30}, new long[] {0, 0, 0}),
                        "more elements than fit"),
                wrong("fewer strides than sizes", tensor(0, TWO_BY_THREE, new long[] {1}), "has 1 strides for the shape [2, 3]"),
                wrong("one number repeated into a gigabyte", tensor(0, new long[] {1 << 28}, new long[] {0}), "'a'", "repeats elements",
                        "1073741824 bytes"),
                wrong("many copies of one view", copies(), "repeats elements"),
                wrong("a size that is a string", TorchFile.dictionary().text("a").global("torch._utils", "_rebuild_tensor_v2").op('(')
                        .storage("FloatStorage", "0", 6).number(0).text("6").numbers(1).op(0x89, 't', 'R', 's'),
                        "passes a string where a tuple"),
                wrong("no storage", TorchFile.dictionary().text("a").global("torch._utils", "_rebuild_tensor_v2").op(')', 'R', 's'),
                        "passes nothing where a storage"),
                wrong("a parameter that is no tensor",
                        TorchFile.dictionary().text("a").global("torch._utils", "_rebuild_parameter").op('N', 0x85, 'R', 's'),
                        "passes None where a tensor"),
                wrong("an untyped storage without a dtype",
                        TorchFile.dictionary().text("a").global("torch._utils", "_rebuild_tensor_v2").op('(')
                                .op('(').text("storage").global("torch.storage", "UntypedStorage").text("0").text("cpu").number(24)
                                .op('t', 'Q')
                                .number(0).numbers(6).numbers(1).op(0x89, 't', 'R', 's'),
                        "untyped storage '0'"),
                wrong("a storage that is not there", TorchFile.dictionary().storage("FloatStorage", "7", 6), "no entry 'archive/data/7'"),
                wrong("a storage outside the data", TorchFile.dictionary().storage("FloatStorage", "../data.pkl", 6),
                        "no entry 'archive/data/../data.pkl'"),
                wrong("a storage longer than its entry", TorchFile.dictionary().storage("FloatStorage", "0", 7),
                        "storage '0' has 7 elements of 4 bytes, but it has 24 bytes"),
                wrong("a storage shorter than its entry", TorchFile.dictionary().storage("FloatStorage", "0", 5),
                        "storage '0' has 5 elements"),
                wrong("a storage of another type", TorchFile.dictionary().storage("DoubleStorage", "0", 6), "6 elements of 8 bytes"),
                wrong("a storage whose length overflows", TorchFile.dictionary().storage("FloatStorage", "0", (1L << 62) + 6),
                        "elements of 4 bytes"),
                wrong("an unknown storage class", TorchFile.dictionary().storage("QInt8Storage", "0", 24), "'torch.QInt8Storage'"),
                wrong("a reference that is no storage", TorchFile.dictionary().op('N', 'Q'), "not a storage"));
    }

    static Stream<Arguments> malformedZips() {
        byte[] right = tensor(0, TWO_BY_THREE, ROWS).floats("0", new float[6]).stopped();
        int end = right.length - 22;
        int directory = ByteBuffer.wrap(right).order(ByteOrder.LITTLE_ENDIAN).getInt(end + 16);
        TorchFile parts = tensor(0, TWO_BY_THREE, ROWS).floats("0", new float[6]).op('.');
        return Stream.of(
                arguments("a file cut off in the middle", Arrays.copyOf(right, right.length / 2),
                        List.of("no directory at its end", "cut off")),
                arguments("a file cut off by a byte", Arrays.copyOf(right, right.length - 1), List.of("no directory at its end")),
                arguments("bytes after the end", Arrays.copyOf(right, right.length + 3), List.of("no directory at its end")),
                arguments("an end record and nothing else", Arrays.copyOfRange(right, end, right.length), List.of("outside the file")),
                arguments("a directory outside the file", changed(right, b -> b.putInt(end + 16, right.length)),
                        List.of("place outside the file")),
                arguments("a directory larger than the file", changed(right, b -> b.putInt(end + 12, right.length)),
                        List.of("place outside the file")),
                arguments("more entries than the directory holds", changed(right, b -> b.putShort(end + 10, (short) 3)),
                        List.of("counts 3 entries in a directory of 122 bytes")),
                arguments("fewer entries than the directory holds", changed(right, b -> b.putShort(end + 10, (short) 1)),
                        List.of("bytes after the last entry")),
                arguments("an impossible number of entries", changed(right, b -> b.putShort(end + 10, (short) -1)),
                        List.of("counts 65535 entries")),
                arguments("a damaged directory", changed(right, b -> b.putInt(directory, 0)), List.of("entry 0 is damaged")),
                arguments("a name that runs on", changed(right, b -> b.putShort(directory + 28, (short) -1)), List.of("runs past its end")),
                arguments("an entry outside the file", changed(right, b -> b.putInt(directory + 42, directory)),
                        List.of("'archive/data.pkl'", "no header")),
                arguments("an entry longer than the file",
                        changed(right, b -> b.putInt(directory + 20, 1 << 30).putInt(directory + 24, 1 << 30)),
                        List.of("'archive/data.pkl'", "1073741824 bytes", "runs into the directory")),
                arguments("an entry that claims to be stored in fewer bytes", changed(right, b -> b.putInt(directory + 20, 1)),
                        List.of("in 1 bytes for")),
                arguments("an entry marked as zip64 without the field", changed(right, b -> b.putInt(directory + 24, -1)),
                        List.of("has no zip64 field")),
                arguments("an encrypted entry", changed(right, b -> b.putShort(directory + 8, (short) 1)),
                        List.of("'archive/data.pkl' is encrypted")),
                arguments("another name in the entry's own header", changed(right, b -> b.put(30, (byte) 'X')),
                        List.of("another name in its own header")),
                arguments("one of several volumes", changed(right, b -> b.putShort(end + 4, (short) 1)), List.of("several parts")),
                arguments("a bit flipped in the pickle", changed(right, b -> b.put(60, (byte) (b.get(60) ^ 1))),
                        List.of("damaged data.pkl", "checksum")),
                arguments("compressed entries", TorchFile.of(parts.pickle()).floats("0", new float[6]).compressed().bytes(),
                        List.of("'archive/data.pkl' is compressed (method 8)")),
                arguments("no pickle", new TorchFile().floats("0", 1).bytes(), List.of("ends in the middle")),
                arguments("a program of torch.jit", TorchFile.of(parts.pickle()).entry("constants.pkl", new byte[0]).bytes(),
                        List.of("TorchScript")),
                arguments("big-endian numbers",
                        TorchFile.of(parts.pickle()).entry("byteorder", "big".getBytes(StandardCharsets.US_ASCII)).bytes(),
                        List.of("byte order 'big'")),
                arguments("any other zip", renamed(right), List.of("0 entries of the form <name>/data.pkl")),
                arguments("the legacy form", HexFormat.of().parseHex("80028a0a6cfc9c46f9206aa850192e80024de9032e"),
                        List.of("legacy torch.save form", "before torch 1.6")),
                arguments("a tar archive", tar(), List.of("tar archive", "0.1.10")),
                arguments("a bare pickle", HexFormat.of().parseHex("80027d2e"), List.of("bare pickle")));
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("malformedPickles")
    void aPickleIsRefusedByName(String what, TorchFile torch, List<String> message) throws IOException {
        refused(torch.floats("0", new float[6]).stopped(), message);
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("malformedZips")
    void aZipIsRefusedByName(String what, byte[] bytes, List<String> message) throws IOException {
        refused(bytes, message);
    }

    private void refused(byte[] bytes, List<String> message) throws IOException {
        Path file = Files.write(folder.resolve("pytorch_model.bin"), bytes);
        assertThatThrownBy(() -> Checkpoint.open(file)).isInstanceOf(CheckpointException.class)
                .hasMessageStartingWith(file.toString())
                .satisfies(e -> assertThat(message).allSatisfy(part -> assertThat(e.getMessage()).contains(part)));
    }

    private static Arguments wrong(String what, TorchFile torch, String... message) {
        return arguments(what, torch, List.of(message));
    }

    private static TorchFile tensor(long offset, long[] size, long[] stride) {
        return TorchFile.dictionary().tensor("a", "0", 6, offset, size, stride);
    }

    /// Few bytes each in the pickle, many when copied.
    private static TorchFile copies() {
        TorchFile torch = TorchFile.dictionary();
        for (int i = 0; i < 300; i++) torch.tensor("t" + i, "0", 6, 0, new long[] {2000}, new long[] {0});
        return torch;
    }

    private static byte[] changed(byte[] right, Consumer<ByteBuffer> change) {
        byte[] bytes = right.clone();
        change.accept(ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN));
        return bytes;
    }

    private static byte[] renamed(byte[] right) {
        return new String(right, StandardCharsets.ISO_8859_1).replace("data.pkl", "word.xml").getBytes(StandardCharsets.ISO_8859_1);
    }

    private static byte[] tar() {
        byte[] tar = new byte[512];
        System.arraycopy("ustar".getBytes(StandardCharsets.US_ASCII), 0, tar, 257, 5);
        return tar;
    }
}
