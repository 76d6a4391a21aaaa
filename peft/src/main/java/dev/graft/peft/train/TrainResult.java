package dev.graft.peft.train;

/// How a run ended.
///
/// @param end why
/// @param step the last one done
/// @param loss of that step, NaN when none was done
/// @param best the lowest validation loss and its step, null without validation
/// @param tokens that went in over the whole run, padding apart
/// @param seconds all steps took, validation and checkpoints apart
public record TrainResult(End end, long step, double loss, Best best, long tokens, double seconds) {
    public enum End {
        /// All steps were done.
        FINISHED,
        /// The validation loss had stopped falling.
        EARLY,
        /// [Trainer#stop] was called; the last checkpoint goes on from here.
        INTERRUPTED
    }

    /// The lowest validation loss, and the step after which it was measured.
    public record Best(double loss, long step) {
    }

    public double tokensPerSecond() {
        return tokens / seconds;
    }
}
