package dev.graft.peft.tinyworld;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;

class TrigramTest {
    @Test
    void probabilitiesSumToOneInEveryContext() {
        Trigram trigram = trained(new Random(1), 7, 200, 12);
        for (int[] context : new int[][] {{}, {3}, {3, 4}, {6, 6}, {1, 2, 3, 4, 5}}) {
            double sum = 0;
            for (int w = 0; w < 7; w++) {
                int[] longer = java.util.Arrays.copyOf(context, context.length + 1);
                longer[context.length] = w;
                sum += Math.exp(trigram.negativeLogLikelihood(context) - trigram.negativeLogLikelihood(longer));
            }
            assertThat(sum).isCloseTo(1, within(1e-9));
        }
    }

    @Test
    void aSmallCaseComesOutAsByHand() {
        Trigram trigram = new Trigram(2);
        trigram.train(new int[] {0, 1, 0, 1});
        // Trigrams B B 0, B 0 1, 0 1 0, 1 0 1 once each: D3 = 1. Bigrams B 0, 0 1, 1 0 have 1, 2 (B and 1 before), 1 contexts: D2 = 2 / (2 + 2).
        // Unigrams 0 and 1 have 2 (B, 1) and 1 (0) contexts: D1 = 1 / (1 + 2).
        double p1of1 = (1 - 1 / 3.0) / 3 + 1 / 3.0 * 2 / 3 / 2;
        double p2of1after0 = (2 - 0.5) / 2 + 0.5 * 1 / 2 * p1of1;
        double p3of1afterB0 = 0 + 1.0 * 1 / 1 * p2of1after0;
        double asTrained = trigram.negativeLogLikelihood(new int[] {0, 1}) - trigram.negativeLogLikelihood(new int[] {0});
        assertThat(Math.exp(-asTrained)).isCloseTo(p3of1afterB0, within(1e-12));
    }

    @Test
    void itLearnsAPatternAndGivesChanceToNoise() {
        Trigram pattern = new Trigram(5);
        for (int i = 0; i < 50; i++) {
            pattern.train(new int[] {0, 1, 2, 3, 4});
        }
        assertThat(pattern.perplexity(List.of(new int[] {0, 1, 2, 3, 4}))).isLessThan(1.1);
        Random random = new Random(2);
        Trigram noise = trained(random, 8, 2_000, 20);
        assertThat(noise.perplexity(List.of(random.ints(5_000, 0, 8).toArray()))).isBetween(7.9, 8.6);
    }

    @Test
    void wrongUseIsExplained() {
        assertThatThrownBy(() -> new Trigram(5).negativeLogLikelihood(new int[] {1})).hasMessageContaining("trained");
        assertThatThrownBy(() -> new Trigram(5).train(new int[] {5})).hasMessageContaining("id 5 is outside the vocabulary of 5");
        Trigram trigram = trained(new Random(1), 3, 3, 3);
        assertThatThrownBy(() -> trigram.perplexity(List.of())).hasMessageContaining("no text");
    }

    private static Trigram trained(Random random, int vocabulary, int texts, int length) {
        Trigram trigram = new Trigram(vocabulary);
        for (int i = 0; i < texts; i++) {
            trigram.train(random.ints(length, 0, vocabulary).toArray());
        }
        return trigram;
    }
}
