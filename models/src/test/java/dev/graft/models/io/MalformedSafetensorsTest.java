package dev.graft.models.io;

import static dev.graft.models.io.SafetensorsFile.of;
import static dev.graft.models.io.SafetensorsFile.tensor;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.params.provider.Arguments.arguments;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/// Every way a safetensors file can be wrong, and the one error that says so.
class MalformedSafetensorsTest {
    private static final String A = tensor("a", "F32", "[2,3]", "[0,24]");

    @TempDir
    Path folder;

    static Stream<Arguments> malformed() {
        byte[] right = of("{" + A + "}", 24);
        byte[] notUtf8 = ("{" + A + "}").getBytes(StandardCharsets.ISO_8859_1);
        notUtf8[2] = (byte) 0xff;
        return Stream.of(
                wrong("an empty file", new byte[0], "is empty"), //
                wrong("fewer than eight bytes", Arrays.copyOf(right, 7), "has 7 bytes"),
                wrong("a file cut off in its header", Arrays.copyOf(right, 30), "header a length of 57", "only 22 follow", "cut off"),
                wrong("a file cut off in its data", Arrays.copyOf(right, right.length - 1), "'a'", "ends at byte 24", "which has 23"),
                wrong("a header length beyond the file", of(60, ("{" + A + "}").getBytes(StandardCharsets.UTF_8), 0), "length of 60"),
                wrong("a header length over the limit", of(100_000_001, new byte[] {'{'}, 0), "100000001", "2 to 100000000"),
                wrong("a header length beyond 2^63", of(-1, new byte[] {'{', '}'}, 0), "18446744073709551615"),
                wrong("a header length of zero", of(0, new byte[0], 0), "length of 0"),
                wrong("a header that is a list", of("[]", 0), "does not begin with '{'"), //
                wrong("a header that begins with a space", of(" {}", 0), "does not begin with '{'"),
                wrong("a header that is not JSON", of("{\"a\":}", 0), "not the JSON it should be", "column 6"),
                wrong("a header that ends early", of("{\"a\":{", 0), "not the JSON it should be"),
                wrong("a header of two objects", of("{}{}", 0), "more than one JSON object"),
                wrong("a header that goes on with words", of("{} x", 0), "not the JSON it should be"), //
                wrong("text that is not UTF-8", of(notUtf8, 24), "not UTF-8"),
                wrong("deep nesting", of("{\"a\":" + "[".repeat(100_000) + "}", 0), "tensor 'a' must be an object, got a list"),
                wrong("deep nesting in a shape", of("{" + tensor("a", "F32", "[".repeat(100_000), "[0,0]") + "}", 0),
                        "shape of tensor 'a'"),
                wrong("a name given twice", of("{" + A + "," + A + "}", 24), "not the JSON it should be", "Duplicate field 'a'"),
                wrong("a key given twice in one tensor", of("{\"a\":{\"dtype\":\"F32\",\"dtype\":\"F32\"}}", 0), "Duplicate field 'dtype'"),
                wrong("overlapping tensors", of("{" + A + "," + tensor("b", "F32", "[1]", "[20,24]") + "}", 24), "'b'",
                        "inside a tensor that ends at 24"),
                wrong("the same bytes twice", of("{" + A + "," + tensor("b", "F32", "[2,3]", "[0,24]") + "}", 24), "'b'",
                        "inside a tensor"),
                wrong("a gap between tensors", of("{" + A + "," + tensor("b", "F32", "[1]", "[28,32]") + "}", 32), "'b'", "gap from 24"),
                wrong("a gap before the first tensor", of("{" + tensor("a", "F32", "[1]", "[4,8]") + "}", 8), "'a'", "gap from 0"),
                wrong("bytes after the last tensor", of("{" + A + "}", 25), "has 1 bytes after its last tensor"),
                wrong("bytes and no tensor", of("{}", 4), "has 4 bytes after its last tensor"),
                wrong("offsets beyond the data", of("{" + tensor("a", "F32", "[8]", "[0,32]") + "}", 24), "'a'", "ends at byte 32",
                        "has 24"),
                wrong("an end before the begin", of("{" + tensor("a", "F32", "[2,3]", "[24,0]") + "}", 24), "'a'",
                        "ends at 0, before it begins at 24"),
                wrong("fewer bytes than the shape takes", of("{" + tensor("a", "F32", "[2,3]", "[0,20]") + "}", 20), "'a'", "has 20 bytes",
                        "F32[2, 3] takes 24"),
                wrong("more bytes than the shape takes", of("{" + tensor("a", "F32", "[2,3]", "[0,28]") + "}", 28), "'a'", "has 28 bytes",
                        "takes 24"),
                wrong("the bytes of another type", of("{" + tensor("a", "F16", "[2,3]", "[0,24]") + "}", 24), "F16[2, 3] takes 12"),
                wrong("a scalar of no bytes", of("{" + tensor("a", "F32", "[]", "[0,0]") + "}", 0), "'a'", "F32[] takes 4"),
                wrong("a negative offset", of("{" + tensor("a", "F32", "[2,3]", "[-24,0]") + "}", 24), "'a'", "-24", "data_offsets"),
                wrong("a negative size", of("{" + tensor("a", "F32", "[-2,-3]", "[0,24]") + "}", 24), "'a'", "-2", "shape"),
                wrong("an offset beyond 2^63", of("{" + tensor("a", "F32", "[0]", "[9223372036854775808,9223372036854775808]") + "}", 0),
                        "'a'", "9223372036854775808", "2^63 - 1"),
                wrong("an offset with a thousand digits", of("{" + tensor("a", "F32", "[0]", "[" + "9".repeat(1000) + ",0]") + "}", 0),
                        "JSON"),
                wrong("offsets that would overflow to the right size",
                        of("{" + tensor("a", "F32", "[6]", "[9223372036854775807,23]") + "}", 24), "before it begins"),
                wrong("a size beyond 2^31", of("{" + tensor("a", "U8", "[2147483648]", "[0,2147483648]") + "}", 0), "'a'",
                        "size of 2147483648 on axis 0"),
                wrong("a product that overflows", of("{" + tensor("a", "F32", "[65536,65536,65536,65536]", "[0,0]") + "}", 0), "'a'",
                        "more elements than fit"),
                wrong("a product that overflows before a zero",
                        of("{" + tensor("a", "F32", "[65536,65536,65536,65536,0]", "[0,0]") + "}", 0), "more elements"),
                wrong("a fraction as size", of("{" + tensor("a", "F32", "[2.0,3]", "[0,24]") + "}", 24), "shape of tensor 'a'",
                        "a number with a fraction"),
                wrong("an exponent as offset", of("{" + tensor("a", "F32", "[2,3]", "[0,24e0]") + "}", 24), "data_offsets of tensor 'a'",
                        "a number with a fraction"),
                wrong("text as size", of("{" + tensor("a", "F32", "[\"2\",3]", "[0,24]") + "}", 24), "shape of tensor 'a'", "got a string"),
                wrong("a shape that is a number", of("{" + tensor("a", "F32", "6", "[0,24]") + "}", 24),
                        "shape of tensor 'a' must be a list, got a whole number"),
                wrong("one offset", of("{" + tensor("a", "F32", "[2,3]", "[24]") + "}", 24), "'a'", "has 1 data_offsets"),
                wrong("three offsets", of("{" + tensor("a", "F32", "[2,3]", "[0,24,48]") + "}", 24), "'a'", "has 3 data_offsets"),
                wrong("an unknown dtype", of("{" + tensor("a", "F31", "[2,3]", "[0,24]") + "}", 24), "'a'", "'F31'", "known are", "BF16"),
                wrong("a dtype in small letters", of("{" + tensor("a", "f32", "[2,3]", "[0,24]") + "}", 24), "'f32'"),
                wrong("a dtype that is a number", of("{\"a\":{\"dtype\":32,\"shape\":[],\"data_offsets\":[0,4]}}", 4),
                        "dtype of tensor 'a' must be a string"),
                wrong("half a byte", of("{" + tensor("a", "F4", "[3]", "[0,1]") + "}", 1), "'a'", "12 bits"),
                wrong("no dtype", of("{\"a\":{\"shape\":[],\"data_offsets\":[0,4]}}", 4), "'a' has no dtype"),
                wrong("no shape", of("{\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,4]}}", 4), "'a' has no shape"),
                wrong("no offsets", of("{\"a\":{\"dtype\":\"F32\",\"shape\":[]}}", 4), "'a' has no data_offsets"),
                wrong("a key not in the format", of("{\"a\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4],\"scale\":2}}", 4),
                        "'a'", "'scale'"),
                wrong("a tensor that is null", of("{\"a\":null}", 0), "tensor 'a' must be an object, got null"),
                wrong("metadata that is a list", of("{\"__metadata__\":[]," + A + "}", 24), "__metadata__ must be an object"),
                wrong("metadata with a number", of("{\"__metadata__\":{\"step\":3}," + A + "}", 24),
                        "__metadata__ 'step' must be a string, got a whole number"),
                wrong("half a surrogate pair as name", of("{" + tensor("\\ud83d", "F32", "[1]", "[0,4]") + "}", 4), "surrogate"),
                wrong("control characters in a name", of("{" + tensor("\\u001b[31m", "F31", "[1]", "[0,4]") + "}", 4), "'\\u001b[31m'"),
                wrong("a Git LFS pointer",
                        "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n".getBytes(StandardCharsets.UTF_8),
                        "git lfs pull"),
                wrong("a web page", "<!doctype html><html></html>".getBytes(StandardCharsets.UTF_8), "header a length of"));
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("malformed")
    void isRefusedByName(String what, byte[] bytes, List<String> message) throws IOException {
        Path file = Files.write(folder.resolve("model.safetensors"), bytes);
        assertThatThrownBy(() -> Checkpoint.open(file)).isInstanceOf(CheckpointException.class)
                .hasMessageStartingWith(file.toString())
                .satisfies(e -> assertThat(message).allSatisfy(part -> assertThat(e.getMessage()).contains(part)))
                .satisfies(e -> assertThat(e.getMessage().length()).isLessThan(700));
    }

    @Test
    void aFileThatIsNotThereIsNamed() {
        assertThatThrownBy(() -> Checkpoint.open(folder.resolve("none.safetensors"))).isInstanceOf(CheckpointException.class)
                .hasMessageContaining("none.safetensors: does not exist");
    }

    @Test
    void aFileOfNoKnownFormatIsRefused() throws IOException {
        Path file = Files.writeString(folder.resolve("weights.dat"), "just some text that is no checkpoint");
        assertThatThrownBy(() -> Checkpoint.open(file)).isInstanceOf(CheckpointException.class).hasMessageContaining("neither safetensors");
    }

    private static Arguments wrong(String what, byte[] bytes, String... message) {
        return arguments(what, bytes, List.of(message));
    }
}
