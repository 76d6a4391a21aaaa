package dev.graft.peft.train;

import java.nio.file.Path;

/// Watches a run: shows it, logs it. Called on the training thread.
public interface TrainListener extends AutoCloseable {
    /// @param step steps done before, above 0 when a run is resumed
    default void onStart(long step, long steps) {
    }

    default void onStep(StepReport report) {
    }

    default void onValidation(ValidationReport report) {
    }

    default void onCheckpoint(long step, Path folder) {
    }

    default void onEnd(TrainResult result) {
    }

    /// After the run, however it ended.
    @Override
    default void close() {
    }
}
