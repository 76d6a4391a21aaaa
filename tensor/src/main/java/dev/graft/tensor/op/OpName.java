package dev.graft.tensor.op;

import java.util.Locale;

/// Names of ops by class, worked out once each: the engine asks for one at every call.
final class OpName extends ClassValue<String> {
    static final OpName OF = new OpName();

    @Override
    protected String computeValue(Class<?> op) {
        return op.getSimpleName().replaceAll("(?<=[a-z0-9])(?=[A-Z])", "_").toLowerCase(Locale.ROOT);
    }
}
