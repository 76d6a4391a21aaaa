package dev.graft.tensor;

/// Which inputs and outputs of a call the tape holds for the backward pass, as bit sets by position.
public record Keep(long inputs, long outputs) {
    public static final Keep NOTHING = new Keep(0, 0);
    public static final Keep ALL = new Keep(-1, -1);

    public static Keep inputs(int... positions) {
        return new Keep(bits(positions), 0);
    }

    public static Keep outputs(int... positions) {
        return new Keep(0, bits(positions));
    }

    public Keep and(Keep other) {
        return new Keep(inputs | other.inputs, outputs | other.outputs);
    }

    /// This, and the input if the condition holds.
    public Keep with(int input, boolean condition) {
        return condition ? and(inputs(input)) : this;
    }

    boolean input(int position) {
        return (inputs >> position & 1) != 0;
    }

    boolean output(int position) {
        return (outputs >> position & 1) != 0;
    }

    private static long bits(int... positions) {
        long bits = 0;
        for (int p : positions) bits |= 1L << p;
        return bits;
    }
}
