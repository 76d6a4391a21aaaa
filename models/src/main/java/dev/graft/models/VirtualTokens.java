package dev.graft.models;

import dev.graft.tensor.Tensor;

/// Positions without text that an adapter puts before every sequence. Callers of the model do not see them: ids, masks and results are those
/// of the real tokens, whose positions count on after the virtual ones.
public sealed interface VirtualTokens {
    /// How many.
    int count();

    /// Trained embeddings that run through the model like those of words (prompt tuning).
    non-sealed interface Prompt extends VirtualTokens {
        /// `[B, count, C]`
        Tensor embeddings(int rows);
    }

    /// Trained keys and values in every layer, used as they are: nothing rotates them (prefix tuning).
    non-sealed interface Prefix extends VirtualTokens {
        /// Both `[B, count, K, D]`.
        ///
        /// @param x what the attention reads, `[B, T, C]`
        KeysValues of(int layer, Tensor x);
    }
}
