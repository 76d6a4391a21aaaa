package dev.graft.models.generate;

/// Nucleus sampling (Holtzman et al. 2020, arXiv:1904.09751): keeps the fewest best tokens whose probabilities sum to at least `p`.
///
/// ```
/// in ascending order of s, with P the running sum of softmax(s):  s' = -∞ where P ≤ 1 − p;  the best token always stays
/// ```
public record TopP(double p) implements LogitsProcessor {
    public TopP {
        Require.that(p >= 0 && p <= 1, "top_p", "must be from 0 to 1", p);
    }

    @Override
    public void process(float[] scores, int[] ids, int promptLength) {
        int[] order = Ascending.order(scores);
        double[] probabilities = Softmax.of(scores);
        double below = 0;
        for (int i = 0; i < order.length - 1; i++) {
            below += probabilities[order[i]];
            if (below > 1 - p) {
                return;
            }
            scores[order[i]] = Float.NEGATIVE_INFINITY;
        }
    }
}
