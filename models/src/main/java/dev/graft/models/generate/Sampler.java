package dev.graft.models.generate;

/// Chooses the next token from scores.
@FunctionalInterface
public interface Sampler {
    /// @param scores scores of the next token, `[V]`, after all processors
    /// @param row    which text this is; the same for a prompt whatever else is in the batch
    /// @param step   how many tokens have been generated for it
    int next(float[] scores, long row, int step);

    /// The best token; the first of them on a tie.
    static Sampler greedy() {
        return (scores, _, _) -> {
            int best = -1;
            for (int i = 0; i < scores.length; i++) {
                if (Float.isNaN(scores[i])) {
                    throw new GenerationException("the model's scores are not numbers (NaN); its weights or inputs are broken");
                }
                if (scores[i] != Float.NEGATIVE_INFINITY && (best < 0 || scores[i] > scores[best])) {
                    best = i;
                }
            }
            if (best < 0) {
                throw GenerationException.ruledOut();
            }
            return best;
        };
    }

    /// A token drawn with probability `softmax(scores)`. The draw is a function of seed, row and step alone: the same seed gives the same
    /// text, whatever the batch it is generated in.
    static Sampler multinomial(long seed) {
        return (scores, row, step) -> {
            double[] probabilities = Softmax.of(scores);
            double left = uniform(seed, row, step);
            int last = -1;
            for (int i = 0; i < probabilities.length; i++) {
                if (probabilities[i] > 0) {
                    left -= probabilities[i];
                    last = i;
                    if (left < 0) {
                        return i;
                    }
                }
            }
            return last; // rounding left a crumb
        };
    }

    /// A number in [0, 1) for a seed and a place: SplitMix64's mixing of the three.
    private static double uniform(long seed, long row, int step) {
        return (mix(mix(mix(seed) + row) + step) >>> 11) * 0x1.0p-53;
    }

    private static long mix(long z) {
        z += 0x9e3779b97f4a7c15L;
        z = (z ^ z >>> 30) * 0xbf58476d1ce4e5b9L;
        z = (z ^ z >>> 27) * 0x94d049bb133111ebL;
        return z ^ z >>> 31;
    }
}
