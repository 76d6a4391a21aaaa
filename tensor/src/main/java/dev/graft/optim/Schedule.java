package dev.graft.optim;

/// The learning rate of each step: it rises linearly from 0 during the warm-up, then follows a law. As Hugging Face's `get_scheduler` computes it.
///
/// ```
/// s < warmup:   lr(s) = peak · s / warmup
/// else          lr(s) = peak · law((s − warmup) / (steps − warmup))
/// constant      1
/// linear        1 − x
/// cosine        ½ (1 + cos πx)
/// ```
/// Steps count from 0, so the first step of a warm-up has rate 0, and the first after it the peak; at `s ≥ steps` linear and cosine are 0.
///
/// @param peak the largest rate
/// @param warmupSteps length of the rise
/// @param steps optimizer steps in all
public record Schedule(Law law, double peak, long warmupSteps, long steps) {
    public enum Law {
        CONSTANT, LINEAR, COSINE
    }

    public Schedule {
        if (!(peak > 0 && peak < Double.POSITIVE_INFINITY))
            throw new IllegalArgumentException("the learning rate must be positive, got " + peak);
        if (warmupSteps < 0) throw new IllegalArgumentException("warm-up steps must be at least 0, got " + warmupSteps);
        if (steps < 1) throw new IllegalArgumentException("there must be at least 1 step, got " + steps);
    }

    public static Schedule constant(double rate) {
        return new Schedule(Law.CONSTANT, rate, 0, Long.MAX_VALUE);
    }

    /// Warm-up steps from their share of all steps, rounded up.
    public static long warmup(double ratio, long steps) {
        if (!(ratio >= 0 && ratio <= 1)) throw new IllegalArgumentException("the warm-up ratio must be between 0 and 1, got " + ratio);
        return (long) Math.ceil(ratio * steps);
    }

    /// The rate of a step, from 0.
    public double at(long step) {
        if (step < warmupSteps) return peak * ((double) step / warmupSteps);
        double x = Math.min(1, (double) (step - warmupSteps) / Math.max(1, steps - warmupSteps));
        return peak * switch (law) {
            case CONSTANT -> 1;
            case LINEAR -> 1 - x;
            case COSINE -> 0.5 * (1 + Math.cos(Math.PI * x));
        };
    }
}
