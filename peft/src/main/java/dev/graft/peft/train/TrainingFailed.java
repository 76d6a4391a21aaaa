package dev.graft.peft.train;

/// A run cannot go on: its numbers are no numbers any more.
public final class TrainingFailed extends RuntimeException {
    public TrainingFailed(String message) {
        super(message);
    }
}
