package dev.graft.peft;

import java.util.Locale;

/// How much of a model is trained.
///
/// @param trainable numbers that training changes
/// @param total all numbers, those of the adapters included
public record Counts(long trainable, long total) {
    public double percent() {
        return 100.0 * trainable / total;
    }

    /// The line PEFT prints.
    @Override
    public String toString() {
        return String.format(Locale.ROOT, "trainable params: %,d || all params: %,d || trainable%%: %.4f", trainable, total, percent());
    }
}
