package dev.graft.peft.method;

import dev.graft.peft.AdapterException;
import dev.graft.peft.JsonValue;

/// What a bottleneck's output is multiplied by. In JSON a number, or the word `learned`.
///
/// @param value the constant, or where the trained number starts
public record Scaling(double value, boolean learned) implements JsonValue {
    /// One trained number per place, which starts at 1.
    public static final Scaling LEARNED = new Scaling(1, true);

    public static Scaling by(double constant) {
        return new Scaling(constant, false);
    }

    public static Scaling of(Object json) {
        return switch (json) {
            case Number n when Double.isFinite(n.doubleValue()) -> by(n.doubleValue());
            case String s when s.equals("learned") -> LEARNED;
            case null, default -> throw new AdapterException("must be a number or \"learned\", got " + json);
        };
    }

    /// A number with a point: LLM-Adapters takes 4 for neither a number nor "learned".
    @Override
    public Object json() {
        return learned ? "learned" : (Object) value;
    }
}
