package dev.graft.models.io;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.core.StreamReadConstraints;
import com.fasterxml.jackson.core.StreamReadFeature;
import com.fasterxml.jackson.core.StreamWriteFeature;
import com.fasterxml.jackson.core.json.JsonReadFeature;
import com.fasterxml.jackson.core.json.JsonWriteFeature;
import com.fasterxml.jackson.core.util.DefaultIndenter;
import com.fasterxml.jackson.core.util.DefaultPrettyPrinter;
import com.fasterxml.jackson.core.util.Separators;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;

/// Settings in JSON, read strictly: one object per file, no key twice, bounded depth and length. What is written looks as Python's
/// `json.dump(…, indent=2)` writes it, so files of both worlds compare.
public final class Json {
    private static final long MAX_BYTES = 32 << 20;

    private static final JsonMapper MAPPER = JsonMapper.builder(JsonFactory.builder()
            .disable(JsonFactory.Feature.INTERN_FIELD_NAMES)
            .disable(JsonFactory.Feature.CANONICALIZE_FIELD_NAMES)
            .streamReadConstraints(StreamReadConstraints.builder().maxNestingDepth(100).maxNumberLength(400).build())
            .build())
            .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
            .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
            .enable(JsonReadFeature.ALLOW_NON_NUMERIC_NUMBERS) // Python writes NaN and Infinity
            .disable(JsonWriteFeature.WRITE_NAN_AS_STRINGS)
            .build();

    private Json() {}

    public static JsonObject read(Path file) {
        // A pipe or a terminal would block for ever where a file is meant.
        if (!Files.isRegularFile(file)) throw new CheckpointException(file, Files.exists(file) ? "is not a file" : "does not exist");
        try {
            long size = Files.size(file);
            if (size > MAX_BYTES) throw new CheckpointException(file, "has " + size + " bytes; settings in JSON are at most " + MAX_BYTES);
            return parse(Utf8.decode(file, "text", Files.readAllBytes(file)), file.toString());
        } catch (IOException e) {
            throw new CheckpointException(file, "cannot be read: " + e.getMessage(), e);
        }
    }

    /// Parses text; `source` stands in messages where a file's name would.
    public static JsonObject parse(String text, String source) {
        try {
            JsonNode node = MAPPER.readTree(text);
            if (node instanceof ObjectNode object) return new JsonObject(source, "", object);
            throw new CheckpointException(source, "must be a JSON object, got " + kind(node), null);
        } catch (JsonProcessingException e) {
            throw syntax(source, "is not the JSON it should be", e);
        }
    }

    /// Writes an object of plain values (maps, lists, strings, numbers, booleans, null), keys in the map's order, [atomically][AtomicFile].
    public static void write(Path file, Map<String, ?> object) {
        byte[] text = format(object).getBytes(StandardCharsets.UTF_8);
        AtomicFile.write(file, channel -> {
            var bytes = ByteBuffer.wrap(text);
            while (bytes.hasRemaining()) channel.write(bytes);
        });
    }

    /// The text [#write] writes.
    public static String format(Map<String, ?> object) {
        var indenter = new DefaultIndenter("  ", "\n");
        var printer = new DefaultPrettyPrinter(Separators.createDefaultInstance()
                .withObjectFieldValueSpacing(Separators.Spacing.AFTER)
                .withObjectEmptySeparator("")
                .withArrayEmptySeparator(""));
        printer.indentObjectsWith(indenter);
        printer.indentArraysWith(indenter);
        try {
            return MAPPER.writer(printer).without(StreamWriteFeature.WRITE_BIGDECIMAL_AS_PLAIN).writeValueAsString(object) + "\n";
        } catch (JsonProcessingException e) {
            throw new IllegalArgumentException("not plain JSON values: " + e.getOriginalMessage(), e);
        }
    }

    /// The object in one line, for a file of lines.
    public static String line(Map<String, ?> object) {
        try {
            return MAPPER.writeValueAsString(object);
        } catch (JsonProcessingException e) {
            throw new IllegalArgumentException("not plain JSON values: " + e.getOriginalMessage(), e);
        }
    }

    static CheckpointException syntax(String source, String problem, JsonProcessingException e) {
        var at = e.getLocation();
        String where = at == null ? "" : " at line " + at.getLineNr() + ", column " + at.getColumnNr();
        // Jackson's messages can quote the text they stumbled over.
        return new CheckpointException(source, problem + where + ": " + CheckpointException.quote(e.getOriginalMessage()), e);
    }

    static String kind(JsonNode node) {
        return switch (node.getNodeType()) {
            case ARRAY -> "a list";
            case BOOLEAN -> "a boolean";
            case NUMBER -> "a number";
            case OBJECT -> "an object";
            case STRING -> "a string";
            case NULL -> "null";
            case MISSING -> "nothing";
            case BINARY, POJO -> throw new AssertionError(node.getNodeType());
        };
    }

    static String kind(JsonToken token) {
        return switch (token) {
            case START_ARRAY -> "a list";
            case START_OBJECT -> "an object";
            case VALUE_STRING -> "a string";
            case VALUE_NUMBER_INT -> "a whole number";
            case VALUE_NUMBER_FLOAT -> "a number with a fraction";
            case VALUE_TRUE, VALUE_FALSE -> "a boolean";
            case VALUE_NULL -> "null";
            case null, default -> "nothing";
        };
    }
}
