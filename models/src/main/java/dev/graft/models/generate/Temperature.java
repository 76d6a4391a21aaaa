package dev.graft.models.generate;

/// Temperature: below 1 sharpens, above 1 flattens the distribution.
///
/// ```
/// s' = s / temperature
/// ```
public record Temperature(double temperature) implements LogitsProcessor {
    public Temperature {
        Require.that(temperature > 0 && Double.isFinite(temperature), "temperature",
                "must be above 0 (for greedy decoding turn do_sample off)", temperature);
    }

    @Override
    public void process(float[] scores, int[] ids, int promptLength) {
        float divisor = (float) temperature;
        for (int i = 0; i < scores.length; i++) {
            scores[i] /= divisor;
        }
    }
}
