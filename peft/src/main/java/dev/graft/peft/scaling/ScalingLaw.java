package dev.graft.peft.scaling;

import java.util.List;

/// A loss as a function of size.
public sealed interface ScalingLaw permits PowerLaw, JointLaw {
    double at(List<Double> sizes, double d);

    default double at(double x, double d) {
        return at(List.of(x), d);
    }

    default double at(Measured run) {
        return at(run.sizes(), run.d());
    }

    /// The mean of |foretold − measured| / measured.
    default double error(List<Measured> runs) {
        return runs.stream().mapToDouble(r -> Math.abs(at(r) - r.loss()) / r.loss()).average().orElse(Double.NaN);
    }
}
