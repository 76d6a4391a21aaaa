package dev.graft.peft.method;

import dev.graft.peft.AdapterException;

/// What the numbers of an adapter must be.
final class Require {
    private Require() {
    }

    static void rank(int r) {
        if (r < 1) throw new AdapterException("r must be at least 1, got " + r);
    }

    static void share(String name, double value) {
        if (!(value >= 0 && value < 1)) throw new AdapterException(name + " must be in [0, 1), got " + value);
    }
}
