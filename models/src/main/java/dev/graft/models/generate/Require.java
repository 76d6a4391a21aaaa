package dev.graft.models.generate;

/// Checks of settings, worded alike.
final class Require {
    private Require() {}

    static void that(boolean holds, String setting, String requirement, Object got) {
        if (!holds) {
            throw new IllegalArgumentException("[generation] %s %s, got %s".formatted(setting, requirement, got));
        }
    }
}
