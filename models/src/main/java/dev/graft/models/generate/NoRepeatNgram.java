package dev.graft.models.generate;

import java.util.Arrays;

/// Rules out every token that would complete an n-gram which has occurred before, in the prompt too (Paulus et al. 2017, arXiv:1705.04304).
///
/// ```
/// s'[w] = -∞ where (last n − 1 ids) followed by w is among the n-grams so far
/// ```
public record NoRepeatNgram(int n) implements LogitsProcessor {
    public NoRepeatNgram {
        Require.that(n > 0, "no_repeat_ngram_size", "must be above 0", n);
    }

    @Override
    public void process(float[] scores, int[] ids, int promptLength) {
        int suffix = ids.length - (n - 1);
        for (int i = 0; i + n <= ids.length; i++) {
            int completes = ids[i + n - 1];
            if (completes < scores.length && Arrays.equals(ids, i, i + n - 1, ids, suffix, ids.length)) {
                scores[completes] = Float.NEGATIVE_INFINITY;
            }
        }
    }
}
