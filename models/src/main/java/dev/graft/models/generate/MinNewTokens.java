package dev.graft.models.generate;

import java.util.List;

/// Rules out the end of the text until it has grown by `min` tokens.
///
/// ```
/// s'[eos] = -∞ while (ids so far) − (ids of the prompt) < min
/// ```
public record MinNewTokens(int min, List<Integer> eosIds) implements LogitsProcessor {
    public MinNewTokens {
        Require.that(min > 0, "min_new_tokens", "must be above 0", min);
        eosIds = List.copyOf(eosIds);
    }

    @Override
    public void process(float[] scores, int[] ids, int promptLength) {
        if (ids.length - promptLength < min) {
            for (int eos : eosIds) {
                if (eos < scores.length) {
                    scores[eos] = Float.NEGATIVE_INFINITY;
                }
            }
        }
    }
}
