package dev.graft.tensor;

/// Where a gradient ends: a trainable parameter, or a tensor that a tape watches. Compared by identity.
public final class Leaf implements Node {
    private final String name;

    public Leaf(String name) {
        this.name = name;
    }

    public String name() {
        return name;
    }

    @Override
    public String toString() {
        return name;
    }
}
