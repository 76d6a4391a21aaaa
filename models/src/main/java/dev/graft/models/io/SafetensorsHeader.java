package dev.graft.models.io;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.core.StreamReadConstraints;
import com.fasterxml.jackson.core.StreamReadFeature;
import dev.graft.tensor.Shape;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Map;

/// Reads the header of a [Safetensors] file, believing nothing: every tensor must lie inside the file and the tensors must cover the data
/// block exactly, without gap or overlap.
final class SafetensorsHeader {
    static final long MAX_BYTES = 100_000_000;
    static final String METADATA = "__metadata__";

    private static final JsonFactory JSON = JsonFactory.builder()
            .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
            .disable(JsonFactory.Feature.INTERN_FIELD_NAMES) // names from a file are no symbols to be kept for good
            .disable(JsonFactory.Feature.CANONICALIZE_FIELD_NAMES)
            .streamReadConstraints(StreamReadConstraints.builder().maxNestingDepth(4).maxNumberLength(20).build())
            .build();

    private record Tensor(String name, StoredType type, Shape shape, long begin, long end) {}

    private final Path file;
    private final List<Tensor> tensors = new ArrayList<>();
    private final Map<String, String> metadata;

    private SafetensorsHeader(Path file, Map<String, String> metadata) {
        this.file = file;
        this.metadata = metadata;
    }

    /// The tensors of a mapped file in the order of its header; what `__metadata__` says goes to `metadata`.
    static List<Entry> read(Path file, MemorySegment bytes, Map<String, String> metadata) {
        if (bytes.byteSize() < 8)
            throw new CheckpointException(file,
                    "has " + bytes.byteSize() + " bytes; a safetensors file begins with 8 for the header's length");
        long length = bytes.get(LittleEndian.LONG, 0), rest = bytes.byteSize() - 8;
        if (length < 2 || length > MAX_BYTES) {
            throw new CheckpointException(file,
                    "gives its header a length of " + Long.toUnsignedString(length) + " bytes; it must be 2 to " + MAX_BYTES);
        }
        if (length > rest)
            throw new CheckpointException(file, "gives its header a length of " + length + " bytes, but only " + rest
                    + " follow; the file is cut off or not safetensors");

        byte[] header = bytes.asSlice(8, length).toArray(JAVA_BYTE);
        if (header[0] != '{') throw new CheckpointException(file, "has a header that does not begin with '{'");
        var reader = new SafetensorsHeader(file, metadata);
        reader.parse(Utf8.decode(file, "a header", header));
        reader.checkCoverage(rest - length);
        MemorySegment data = bytes.asSlice(8 + length);
        return reader.tensors.stream()
                .map(t -> Entry.contiguous(t.name, t.type, t.shape, file, data.asSlice(t.begin, t.end - t.begin)))
                .toList();
    }

    private void parse(String header) {
        try (JsonParser json = JSON.createParser(header)) {
            expect(json, json.nextToken(), JsonToken.START_OBJECT, "the header");
            while (json.nextToken() != JsonToken.END_OBJECT) {
                String name = json.currentName();
                json.nextToken();
                if (name.equals(METADATA)) parseMetadata(json);
                else tensors.add(parseTensor(json, name));
            }
            if (json.nextToken() != null) throw new CheckpointException(file, "has more than one JSON object in its header");
        } catch (JsonProcessingException e) {
            throw Json.syntax(file.toString(), "has a header that is not the JSON it should be", e);
        } catch (IOException e) {
            throw new AssertionError("reading a string does no input", e);
        }
    }

    private void parseMetadata(JsonParser json) throws IOException {
        expect(json, json.currentToken(), JsonToken.START_OBJECT, METADATA);
        while (json.nextToken() != JsonToken.END_OBJECT) {
            String key = json.currentName();
            expect(json, json.nextToken(), JsonToken.VALUE_STRING, METADATA + " " + CheckpointException.quote(key));
            metadata.put(key, json.getText());
        }
    }

    private Tensor parseTensor(JsonParser json, String name) throws IOException {
        if (!StandardCharsets.UTF_8.newEncoder().canEncode(name))
            throw CheckpointException.tensor(file, name, "has half a surrogate pair in its name");
        expect(json, json.currentToken(), JsonToken.START_OBJECT, "tensor " + CheckpointException.quote(name));
        String dtype = null;
        long[] dims = null, offsets = null;
        while (json.nextToken() != JsonToken.END_OBJECT) {
            String key = json.currentName();
            json.nextToken();
            switch (key) {
                case "dtype" -> {
                    expect(json, json.currentToken(), JsonToken.VALUE_STRING, "dtype of tensor " + CheckpointException.quote(name));
                    dtype = json.getText();
                }
                case "shape" -> dims = parseNumbers(json, name, key);
                case "data_offsets" -> offsets = parseNumbers(json, name, key);
                default -> throw CheckpointException.tensor(file, name,
                        "has the key " + CheckpointException.quote(key) + "; only dtype, shape and data_offsets are known");
            }
        }
        if (dtype == null) throw CheckpointException.tensor(file, name, "has no dtype");
        if (dims == null) throw CheckpointException.tensor(file, name, "has no shape");
        if (offsets == null) throw CheckpointException.tensor(file, name, "has no data_offsets");
        if (offsets.length != 2)
            throw CheckpointException.tensor(file, name, "has " + offsets.length + " data_offsets; there must be two, begin and end");
        return tensor(name, dtype, dims, offsets[0], offsets[1]);
    }

    private Tensor tensor(String name, String dtype, long[] dims, long begin, long end) {
        StoredType type = Arrays.stream(StoredType.values()).filter(t -> t.name().equals(dtype)).findFirst()
                .orElseThrow(() -> CheckpointException.tensor(file, name,
                        "has the dtype " + CheckpointException.quote(dtype) + "; known are " + Arrays.toString(StoredType.values())));
        Shape shape = Bounds.shape(file, name, dims);
        if (end < begin) throw CheckpointException.tensor(file, name, "ends at " + end + ", before it begins at " + begin);
        long bits = shape.size() * type.bits();
        if (bits % 8 != 0)
            throw CheckpointException.tensor(file, name,
                    "is " + type + shape + ", which is " + bits + " bits and no whole number of bytes");
        if (end - begin != bits / 8) {
            throw CheckpointException.tensor(file, name, "has " + (end - begin) + " bytes at data_offsets [" + begin + ", " + end
                    + "], but " + type + shape + " takes " + bits / 8);
        }
        return new Tensor(name, type, shape, begin, end);
    }

    private long[] parseNumbers(JsonParser json, String name, String key) throws IOException {
        expect(json, json.currentToken(), JsonToken.START_ARRAY, key + " of tensor " + CheckpointException.quote(name));
        long[] numbers = new long[4];
        int n = 0;
        while (json.nextToken() != JsonToken.END_ARRAY) {
            expect(json, json.currentToken(), JsonToken.VALUE_NUMBER_INT, key + " of tensor " + CheckpointException.quote(name));
            if (json.getNumberType() == JsonParser.NumberType.BIG_INTEGER || json.getLongValue() < 0) {
                throw CheckpointException.tensor(file, name,
                        "has " + json.getText() + " in its " + key + "; numbers there are 0 to 2^63 - 1");
            }
            if (n == numbers.length) numbers = Arrays.copyOf(numbers, 2 * n);
            numbers[n++] = json.getLongValue();
        }
        return Arrays.copyOf(numbers, n);
    }

    private void checkCoverage(long dataBytes) {
        List<Tensor> byPlace = tensors.stream().sorted(Comparator.comparingLong(Tensor::begin).thenComparingLong(Tensor::end)).toList();
        long covered = 0;
        for (Tensor t : byPlace) {
            if (t.end > dataBytes)
                throw CheckpointException.tensor(file, t.name, "ends at byte " + t.end + " of the data, which has " + dataBytes
                        + "; the file is cut off or its offsets are wrong");
            if (t.begin < covered)
                throw CheckpointException.tensor(file, t.name,
                        "begins at byte " + t.begin + " of the data, inside a tensor that ends at " + covered);
            if (t.begin > covered)
                throw CheckpointException.tensor(file, t.name, "begins at byte " + t.begin + " of the data, leaving a gap from " + covered);
            covered = t.end;
        }
        if (covered != dataBytes) throw new CheckpointException(file, "has " + (dataBytes - covered) + " bytes after its last tensor");
    }

    private void expect(JsonParser json, JsonToken got, JsonToken wanted, String where) {
        if (got != wanted) throw new CheckpointException(file, where + " must be " + Json.kind(wanted) + ", got " + Json.kind(got));
    }
}
