package dev.graft.peft;

/// A hyper-parameter whose form in JSON is not that of a Java type: a number or a word, a list or a pattern. Its class also has a
/// `public static` method `of(Object json)`, which takes the plain value and throws [AdapterException] when that makes no sense.
public interface JsonValue {
    /// A string, number, boolean, list or map.
    Object json();
}
