package dev.graft.models.io;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.BooleanNode;
import com.fasterxml.jackson.databind.node.NullNode;
import com.fasterxml.jackson.databind.node.NumericNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;

/// A JSON object asked for typed values. A value of another kind throws [CheckpointException] naming file, key, what was expected and what is
/// there. A key whose value is null counts as absent, as in every Hugging Face config.
///
/// The object remembers which keys were asked for; the rest is [#unknownKeys].
public final class JsonObject {
    private final String source;
    private final String path; // of this object inside the file, ending with a dot unless empty
    private final ObjectNode node;
    private final Set<String> asked = new LinkedHashSet<>();

    JsonObject(String source, String path, ObjectNode node) {
        this.source = source;
        this.path = path;
        this.node = node;
    }

    /// Whether there is a value that is not null.
    public boolean has(String key) {
        return value(key).isPresent();
    }

    public boolean isString(String key) {
        return value(key).filter(JsonNode::isTextual).isPresent();
    }

    public boolean isNumber(String key) {
        return value(key).filter(JsonNode::isNumber).isPresent();
    }

    public boolean isList(String key) {
        return value(key).filter(JsonNode::isArray).isPresent();
    }

    public boolean isObject(String key) {
        return value(key).filter(JsonNode::isObject).isPresent();
    }

    public int requireInt(String key) {
        return require(key, value(key).map(v -> toInt(key, v)));
    }

    public OptionalInt optInt(String key) {
        Optional<Integer> value = value(key).map(v -> toInt(key, v));
        return value.isPresent() ? OptionalInt.of(value.get()) : OptionalInt.empty();
    }

    public int optInt(String key, int otherwise) {
        return optInt(key).orElse(otherwise);
    }

    /// A number of things, at least 1.
    public int optSize(String key, int otherwise) {
        int value = optInt(key, otherwise);
        if (value < 1) throw problem(key, "must be at least 1, got " + value);
        return value;
    }

    public long requireLong(String key) {
        return require(key, value(key).map(v -> toLong(key, v)));
    }

    public long optLong(String key, long otherwise) {
        return value(key).map(v -> toLong(key, v)).orElse(otherwise);
    }

    /// A finite number.
    public double requireDouble(String key) {
        return require(key, value(key).map(v -> toDouble(key, v)));
    }

    /// A finite number.
    public double optDouble(String key, double otherwise) {
        return value(key).map(v -> toDouble(key, v)).orElse(otherwise);
    }

    public boolean requireBoolean(String key) {
        return require(key, value(key).map(v -> toBoolean(key, v)));
    }

    public boolean optBoolean(String key, boolean otherwise) {
        return value(key).map(v -> toBoolean(key, v)).orElse(otherwise);
    }

    public String requireString(String key) {
        return require(key, optString(key));
    }

    public Optional<String> optString(String key) {
        return value(key).map(v -> toText(key, v));
    }

    public String optString(String key, String otherwise) {
        return optString(key).orElse(otherwise);
    }

    public JsonObject requireObject(String key) {
        return require(key, optObject(key));
    }

    public Optional<JsonObject> optObject(String key) {
        return value(key).map(v -> toObject(key, v));
    }

    public List<String> requireStrings(String key) {
        return require(key, optStrings(key));
    }

    public Optional<List<String>> optStrings(String key) {
        return list(key, this::toText);
    }

    public List<Integer> requireInts(String key) {
        return require(key, optInts(key));
    }

    public Optional<List<Integer>> optInts(String key) {
        return list(key, this::toInt);
    }

    public Optional<List<Double>> optDoubles(String key) {
        return list(key, this::toDouble);
    }

    public Optional<List<JsonObject>> optObjects(String key) {
        return list(key, this::toObject);
    }

    /// All keys, in the file's order, whether their value is null or not.
    public List<String> keys() {
        return node.properties().stream().map(Map.Entry::getKey).toList();
    }

    /// Keys nobody has asked for yet, in the file's order.
    public List<String> unknownKeys() {
        return keys().stream().filter(k -> !asked.contains(k)).toList();
    }

    /// Whether the value says nothing: absent, null, false, or an empty string, list or object. An unknown key may be passed over if so; with any
    /// other value it could mean a model this program does not compute.
    public boolean isNeutral(String key) {
        JsonNode value = node.get(key);
        return value == null || value.isNull() || value.isBoolean() && !value.booleanValue()
                || value.isTextual() && value.textValue().isEmpty() || value.isContainerNode() && value.isEmpty();
    }

    /// Everything as plain values: maps, lists, strings, numbers, booleans, null; to be changed and written again.
    public Map<String, Object> toMap() {
        return plain(node);
    }

    /// An exception about the value of `key`, naming file and key: `config.json: "hidden_act" must be …`.
    public CheckpointException problem(String key, String problem) {
        return new CheckpointException(source, "\"" + path + key + "\" " + problem, null);
    }

    /// Where this object came from, as messages name it.
    public String source() {
        return source;
    }

    @Override
    public String toString() {
        return node.toString();
    }

    private static Map<String, Object> plain(ObjectNode object) {
        Map<String, Object> map = new LinkedHashMap<>();
        for (var item : object.properties()) map.put(item.getKey(), plain(item.getValue()));
        return map;
    }

    private static Object plain(JsonNode value) {
        return switch (value) {
            case ObjectNode object -> plain(object);
            case ArrayNode array -> {
                List<Object> list = new ArrayList<>();
                for (JsonNode item : array) list.add(plain(item));
                yield list;
            }
            case BooleanNode bool -> bool.booleanValue();
            case NumericNode number -> number.numberValue();
            case NullNode _ -> null;
            default -> value.textValue();
        };
    }

    private Optional<JsonNode> value(String key) {
        asked.add(key);
        return Optional.ofNullable(node.get(key)).filter(v -> !v.isNull());
    }

    private <T> T require(String key, Optional<T> value) {
        return value.orElseThrow(() -> problem(key, node.has(key) ? "is null and must have a value" : "is missing; there are " + keys()));
    }

    private interface Reading<T> {
        T read(String key, JsonNode value);
    }

    private <T> Optional<List<T>> list(String key, Reading<T> element) {
        return value(key).map(v -> {
            if (!v.isArray()) throw expected(key, "a list", v);
            List<T> values = new ArrayList<>();
            for (JsonNode item : v) values.add(element.read(key + "[" + values.size() + "]", item));
            return List.copyOf(values);
        });
    }

    private int toInt(String key, JsonNode v) {
        if (!v.isIntegralNumber() || !v.canConvertToInt()) throw expected(key, "a whole number of 32 bits", v);
        return v.intValue();
    }

    private long toLong(String key, JsonNode v) {
        if (!v.isIntegralNumber() || !v.canConvertToLong()) throw expected(key, "a whole number of 64 bits", v);
        return v.longValue();
    }

    private double toDouble(String key, JsonNode v) {
        if (!v.isNumber() || !Double.isFinite(v.doubleValue())) throw expected(key, "a finite number", v);
        return v.doubleValue();
    }

    private boolean toBoolean(String key, JsonNode v) {
        if (!v.isBoolean()) throw expected(key, "true or false", v);
        return v.booleanValue();
    }

    private String toText(String key, JsonNode v) {
        if (!v.isTextual()) throw expected(key, "a string", v);
        return v.textValue();
    }

    private JsonObject toObject(String key, JsonNode v) {
        if (!(v instanceof ObjectNode object)) throw expected(key, "an object", v);
        return new JsonObject(source, path + key + ".", object);
    }

    private CheckpointException expected(String key, String kind, JsonNode got) {
        return problem(key, "must be " + kind + ", got " + Json.kind(got)
                + (got.isContainerNode() ? "" : " " + CheckpointException.quote(got.asText())));
    }
}
