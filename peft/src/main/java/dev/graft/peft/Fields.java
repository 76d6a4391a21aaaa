package dev.graft.peft;

import dev.graft.models.io.Json;
import dev.graft.models.io.JsonObject;
import java.lang.reflect.Constructor;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.ParameterizedType;
import java.lang.reflect.RecordComponent;
import java.lang.reflect.Type;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.SequencedMap;

/// Records as fields of JSON and back: the component `loraAlpha` is the field `lora_alpha`, and the components of a record inside a record
/// stand among those around it.
final class Fields {
    private Fields() {
    }

    /// All components by their names in JSON, as plain values.
    static SequencedMap<String, Object> of(Record record) {
        SequencedMap<String, Object> fields = new LinkedHashMap<>();
        for (RecordComponent c : record.getClass().getRecordComponents()) {
            switch (get(c, record)) {
                case JsonValue v -> fields.put(name(c), v.json());
                case Record inner -> fields.putAll(of(inner));
                case String s when s.equals("true") || s.equals("false") -> fields.put(name(c), Boolean.valueOf(s));
                case Double d -> fields.put(name(c), number(d));
                case Map<?, ?> map -> {
                    Map<Object, Object> plain = new LinkedHashMap<>();
                    map.forEach((k, v) -> plain.put(k, v instanceof Double d ? number(d) : v));
                    fields.put(name(c), plain);
                }
                case null -> fields.put(name(c), null);
                case Object plain -> fields.put(name(c), plain);
            }
        }
        return fields;
    }

    /// A record like `defaults` with the fields that the JSON gives. A string component also takes true and false, and a list a single value.
    static <R extends Record> R read(R defaults, JsonObject json) {
        RecordComponent[] components = defaults.getClass().getRecordComponents();
        Object[] values = new Object[components.length];
        Class<?>[] types = new Class<?>[components.length];
        for (int i = 0; i < values.length; i++) {
            types[i] = components[i].getType();
            values[i] = read(components[i], get(components[i], defaults), json);
        }
        return make(defaults, types, values);
    }

    static <R extends Record> R with(R record, Map<String, ?> changes) {
        SequencedMap<String, Object> fields = of(record);
        for (String field : changes.keySet()) {
            if (!fields.containsKey(field))
                throw new AdapterException(
                        "%s has no '%s'; it has %s".formatted(record.getClass().getSimpleName(), field, fields.keySet()));
        }
        fields.putAll(changes);
        return read(record, Json.parse(Json.format(fields), record.getClass().getSimpleName()));
    }

    private static Object read(RecordComponent c, Object otherwise, JsonObject json) {
        String key = name(c);
        Class<?> type = c.getType();
        if (Record.class.isAssignableFrom(type) && !JsonValue.class.isAssignableFrom(type)) return read((Record) otherwise, json);
        if (!json.has(key) && !c.isAnnotationPresent(Stated.class)) return otherwise;
        if (type == int.class || type == Integer.class) return json.requireInt(key);
        if (type == long.class) return json.requireLong(key);
        if (type == double.class) return json.requireDouble(key);
        if (type == boolean.class) return json.requireBoolean(key);
        if (type == String.class) return json.isString(key) ? json.requireString(key) : Boolean.toString(json.requireBoolean(key));
        if (JsonValue.class.isAssignableFrom(type)) return value(type, key, json);
        if (type == List.class) return list(argument(c, 0), key, json);
        if (type == Map.class) return map(argument(c, 1), json.requireObject(key));
        throw new AdapterException("component '%s' of %s is a %s, which has no form in JSON; make it a JsonValue".formatted(c.getName(),
                c.getDeclaringRecord().getSimpleName(), type.getSimpleName()));
    }

    private static Object value(Class<?> type, String key, JsonObject json) {
        try {
            return type.getMethod("of", Object.class).invoke(null, json.toMap().get(key));
        } catch (InvocationTargetException e) {
            if (e.getCause() instanceof AdapterException problem) throw json.problem(key, problem.getMessage());
            throw new IllegalStateException(e.getCause());
        } catch (ReflectiveOperationException e) {
            throw new IllegalStateException(type + " needs a public static method of(Object)", e);
        }
    }

    private static List<?> list(Type element, String key, JsonObject json) {
        if (element == Integer.class) return json.isList(key) ? json.requireInts(key) : List.of(json.requireInt(key));
        return json.isList(key) ? json.requireStrings(key) : List.of(json.requireString(key));
    }

    /// In the file's order, which decides between patterns that both fit.
    private static Map<String, Object> map(Type value, JsonObject json) {
        Map<String, Object> map = new LinkedHashMap<>();
        for (String key : json.keys()) {
            if (value == Integer.class) map.put(key, json.requireInt(key));
            else map.put(key, json.requireDouble(key));
        }
        return map;
    }

    private static Type argument(RecordComponent c, int position) {
        return ((ParameterizedType) c.getGenericType()).getActualTypeArguments()[position];
    }

    /// Some readers want a whole number for `lora_alpha`; what lies between 0 and 1 is a share, and stays `0.0`.
    private static Object number(double d) {
        if (d == Math.rint(d) && Math.abs(d) >= 1 && Math.abs(d) < 1L << 53) return (long) d;
        return d;
    }

    private static String name(RecordComponent c) {
        if (c.isAnnotationPresent(Spelled.class)) return c.getAnnotation(Spelled.class).value();
        return c.getName().replaceAll("(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_").toLowerCase(Locale.ROOT);
    }

    private static Object get(RecordComponent c, Record record) {
        try {
            c.getAccessor().trySetAccessible();
            return c.getAccessor().invoke(record);
        } catch (IllegalAccessException e) {
            throw new AdapterException(
                    "%s must be public, and its package exported or opened to dev.graft.peft".formatted(record.getClass().getName()));
        } catch (InvocationTargetException e) {
            throw new IllegalStateException(e.getCause());
        }
    }

    private static <R extends Record> R make(R like, Class<?>[] types, Object[] values) {
        try {
            @SuppressWarnings("unchecked")
            Constructor<R> canonical = (Constructor<R>) like.getClass().getDeclaredConstructor(types);
            canonical.trySetAccessible();
            return canonical.newInstance(values);
        } catch (InvocationTargetException e) {
            if (e.getCause() instanceof RuntimeException problem) throw problem;
            throw new IllegalStateException(e.getCause());
        } catch (ReflectiveOperationException e) {
            throw new AdapterException(
                    "%s must be public, and its package exported or opened to dev.graft.peft".formatted(like.getClass().getName()));
        }
    }
}
