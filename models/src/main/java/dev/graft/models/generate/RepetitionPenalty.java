package dev.graft.models.generate;

import java.util.BitSet;

/// Repetition penalty (Keskar et al. 2019, arXiv:1909.05858): makes tokens that occurred, in the prompt too, less probable.
///
/// ```
/// s' = s / penalty where s ≥ 0, s · penalty where s < 0, for each token among the ids so far, once
/// ```
public record RepetitionPenalty(double penalty) implements LogitsProcessor {
    public RepetitionPenalty {
        Require.that(penalty > 0 && Double.isFinite(penalty), "repetition_penalty", "must be above 0", penalty);
    }

    @Override
    public void process(float[] scores, int[] ids, int promptLength) {
        float factor = (float) penalty;
        BitSet seen = new BitSet(scores.length);
        for (int id : ids) {
            if (id < scores.length && !seen.get(id)) {
                seen.set(id);
                scores[id] = scores[id] < 0 ? scores[id] * factor : scores[id] / factor;
            }
        }
    }
}
