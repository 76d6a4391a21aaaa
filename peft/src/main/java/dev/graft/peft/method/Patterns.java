package dev.graft.peft.method;

import java.util.Map;

/// PEFT's `rank_pattern` and `alpha_pattern`: the first key that a path ends with, a regular expression, has the say.
final class Patterns {
    private Patterns() {
    }

    static <T> T at(Map<String, T> pattern, String path, T otherwise) {
        for (Map.Entry<String, T> e : pattern.entrySet()) if (path.matches("(.*\\.)?(" + e.getKey() + ")")) return e.getValue();
        return otherwise;
    }
}
