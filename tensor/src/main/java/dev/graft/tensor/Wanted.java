package dev.graft.tensor;

/// Which inputs of a call want a gradient.
@FunctionalInterface
public interface Wanted {
    boolean input(int position);
}
