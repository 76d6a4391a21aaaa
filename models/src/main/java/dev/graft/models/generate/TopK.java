package dev.graft.models.generate;

/// Top-k sampling (Fan et al. 2018, arXiv:1805.04833): keeps the `k` best tokens, and those that tie with the last of them.
///
/// ```
/// s' = s where s ≥ (the k-th largest s), else -∞
/// ```
public record TopK(int k) implements LogitsProcessor {
    public TopK {
        Require.that(k > 0, "top_k", "must be above 0", k);
    }

    @Override
    public void process(float[] scores, int[] ids, int promptLength) {
        if (k >= scores.length) {
            return;
        }
        float least = largest(scores.clone(), k);
        for (int i = 0; i < scores.length; i++) {
            if (scores[i] < least) {
                scores[i] = Float.NEGATIVE_INFINITY;
            }
        }
    }

    /// The `k`-th largest of `values`, which end up in another order. Hoare's selection: a sort would take longer than a decoding step
    /// of a small model.
    private static float largest(float[] values, int k) {
        int wanted = values.length - k;
        int low = 0;
        int high = values.length - 1;
        while (low < high) {
            float pivot = values[low + high >>> 1];
            int i = low;
            int j = high;
            while (i <= j) {
                while (values[i] < pivot) {
                    i++;
                }
                while (values[j] > pivot) {
                    j--;
                }
                if (i <= j) {
                    float swap = values[i];
                    values[i++] = values[j];
                    values[j--] = swap;
                }
            }
            if (wanted <= j) {
                high = j;
            } else if (wanted >= i) {
                low = i;
            } else {
                break;
            }
        }
        return values[wanted];
    }
}
