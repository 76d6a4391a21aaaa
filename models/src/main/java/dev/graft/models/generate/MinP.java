package dev.graft.models.generate;

/// Min-p sampling (Nguyen et al. 2024, arXiv:2407.01082): keeps tokens at least `p` times as probable as the best.
///
/// ```
/// s' = s where softmax(s) ≥ p · max softmax(s), else -∞
/// ```
public record MinP(double p) implements LogitsProcessor {
    public MinP {
        Require.that(p >= 0 && p <= 1, "min_p", "must be from 0 to 1", p);
    }

    @Override
    public void process(float[] scores, int[] ids, int promptLength) {
        double[] probabilities = Softmax.of(scores);
        double best = 0;
        for (double probability : probabilities) {
            best = Math.max(best, probability);
        }
        for (int i = 0; i < scores.length; i++) {
            if (probabilities[i] < p * best) {
                scores[i] = Float.NEGATIVE_INFINITY;
            }
        }
    }
}
