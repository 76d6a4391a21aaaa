package dev.graft.models.generate;

/// Softmax of one row of scores, in double precision.
///
/// ```
/// softmax(s)_i = exp(s_i − max s) / Σ_j exp(s_j − max s)
/// ```
final class Softmax {
    private Softmax() {}

    static double[] of(float[] scores) {
        double max = max(scores);
        double[] probabilities = new double[scores.length];
        double sum = 0;
        for (int i = 0; i < scores.length; i++) {
            probabilities[i] = Math.exp(scores[i] - max);
            sum += probabilities[i];
        }
        for (int i = 0; i < probabilities.length; i++) {
            probabilities[i] /= sum;
        }
        return probabilities;
    }

    /// `ln softmax(s)`, in place.
    static void log(float[] scores) {
        double max = max(scores);
        double sum = 0;
        for (float score : scores) {
            sum += Math.exp(score - max);
        }
        double normaliser = max + Math.log(sum);
        for (int i = 0; i < scores.length; i++) {
            scores[i] = (float) (scores[i] - normaliser);
        }
    }

    private static double max(float[] scores) {
        float max = Float.NEGATIVE_INFINITY;
        for (float score : scores) {
            if (Float.isNaN(score)) {
                throw new GenerationException("the model's scores are not numbers (NaN); its weights or inputs are broken");
            }
            max = Math.max(max, score);
        }
        if (max == Float.NEGATIVE_INFINITY) {
            throw GenerationException.ruledOut();
        }
        return max;
    }
}
