package dev.graft.peft.train;

/// One pass over the validation set.
///
/// @param step after which
/// @param loss mean over the predicted tokens
/// @param isBest whether it is the lowest so far
/// @param seconds it took
public record ValidationReport(long step, double loss, boolean isBest, double seconds) {
    public double perplexity() {
        return Math.exp(loss);
    }
}
