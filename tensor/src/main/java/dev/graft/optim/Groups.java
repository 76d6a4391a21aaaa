package dev.graft.optim;

import dev.graft.nn.Parameter;

/// Which parameters learn faster or slower than the others, and which of them decay.
@FunctionalInterface
public interface Groups {
    /// All parameters alike.
    Groups ONE = _ -> Group.PLAIN;

    Group of(Parameter p);

    /// @param rate what the learning rate is multiplied by
    /// @param decay what the weight decay is multiplied by
    record Group(double rate, double decay) {
        public static final Group PLAIN = new Group(1, 1);

        public Group {
            if (!(rate >= 0 && rate < Double.POSITIVE_INFINITY && decay >= 0 && decay < Double.POSITIVE_INFINITY))
                throw new IllegalArgumentException("a group's rate and decay must be at least 0, got " + rate + " and " + decay);
        }
    }
}
