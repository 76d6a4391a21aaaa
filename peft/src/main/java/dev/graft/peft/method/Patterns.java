package dev.graft.peft.method;

import dev.graft.peft.AdapterException;
import dev.graft.peft.Targets;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;

/// PEFT's `rank_pattern` and `alpha_pattern`: the first key that a path ends with, a regular expression, has the say.
final class Patterns {
    private Patterns() {
    }

    /// A copy that keeps its order, which decides. Throws where a key is no regular expression.
    static <T> Map<String, T> of(Map<String, T> pattern) {
        pattern.keySet().forEach(Targets::matching);
        return Collections.unmodifiableMap(new LinkedHashMap<>(pattern));
    }

    /// The same for what must be at least 1.
    static Map<String, Integer> ofSizes(String field, Map<String, Integer> pattern) {
        pattern.forEach((key, size) -> {
            if (size < 1) throw new AdapterException("%s gives '%s' %d; it must be at least 1".formatted(field, key, size));
        });
        return of(pattern);
    }

    static <T> T at(Map<String, T> pattern, String path, T otherwise) {
        for (Map.Entry<String, T> e : pattern.entrySet()) if (path.matches("(.*\\.)?(" + e.getKey() + ")")) return e.getValue();
        return otherwise;
    }
}
