package dev.graft.peft.scaling;

import java.util.List;

/// A run, as far as a law is concerned.
///
/// @param sizes those that were varied: parameters of the model, of the adapter
/// @param d how much data it saw; 1 where that was not varied
/// @param loss that it ended with
public record Measured(List<Double> sizes, double d, double loss) {
    public Measured {
        sizes = List.copyOf(sizes);
        if (sizes.isEmpty()) throw new IllegalArgumentException("a run must have a size");
        sizes.forEach(x -> require("size", x));
        require("amount of data", d);
        require("loss", loss);
    }

    public Measured(double x, double d, double loss) {
        this(List.of(x), d, loss);
    }

    /// The first size.
    public double x() {
        return sizes.getFirst();
    }

    private static void require(String name, double value) {
        if (!(value > 0 && value < Double.POSITIVE_INFINITY))
            throw new IllegalArgumentException("a %s must be above 0 and finite, got %s".formatted(name, value));
    }
}
