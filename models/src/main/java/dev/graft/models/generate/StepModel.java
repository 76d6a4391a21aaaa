package dev.graft.models.generate;

import java.util.List;

/// What decoding needs of a language model: prompts in, scores of the next token out, one token at a time.
@FunctionalInterface
public interface StepModel {
    /// Reads the prompts, one row each, and gets ready to continue them.
    ///
    /// Prompts may differ in length. A model that computes them together pads on the left and masks the padding, so that a row's scores
    /// do not depend on its neighbours; positions count from a row's first real token.
    ///
    /// @param prompts      the ids of each row, none empty
    /// @param maxNewTokens how many tokens a row will grow by at most
    Session open(List<int[]> prompts, int maxNewTokens);

    /// Tokens of the longest text, prompt and continuation together, that the model was made for. It reads on beyond and understands less.
    /// No bound unless the model says so.
    default int maxPositions() {
        return Integer.MAX_VALUE;
    }
}
