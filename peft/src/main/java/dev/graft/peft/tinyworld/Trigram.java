package dev.graft.peft.tinyworld;

import java.util.HashMap;
import java.util.Map;

/// The trigram model a pretrained language model is compared with: interpolated Kneser-Ney (Chen and Goodman 1998) over token ids.
///
/// ```
/// p3(w | u v) = max(c(u v w) − D3, 0) / c(u v ·) + D3 · N(u v ·) / c(u v ·) · p2(w | v)
/// p2(w | v)   = max(N(· v w) − D2, 0) / N(· v ·) + D2 · N'(v ·) / N(· v ·) · p1(w)
/// p1(w)       = max(N(· w) − D1, 0) / N(· ·) + D1 · N'(·) / N(· ·) / vocabulary
/// ```
///
/// `c` counts occurrences, `N` counts different words in the place of the dot; `Dn = n1 / (n1 + 2 n2)` with `n1`, `n2` the number of
/// counts that are 1 and 2. A text begins after two beginnings; its last id (the end token) is predicted like any other.
public final class Trigram {
    private static final long BEGIN = -1;

    private final int vocabulary;
    private final Map<Gram, Integer> trigrams = new HashMap<>();
    private Level three;
    private Level two;
    private Level one;

    private record Gram(long before, int next) {}

    /// What one order of the model needs: counts by gram, and by context their sum and the number of different continuations.
    private record Level(Map<Gram, Integer> counts, Map<Long, int[]> contexts, double discount) {
        static Level of(Map<Gram, Integer> counts) {
            Map<Long, int[]> contexts = new HashMap<>();
            long ones = 0;
            long twos = 0;
            for (Map.Entry<Gram, Integer> entry : counts.entrySet()) {
                int[] sums = contexts.computeIfAbsent(entry.getKey().before(), _ -> new int[2]);
                sums[0] += entry.getValue();
                sums[1]++;
                ones += entry.getValue() == 1 ? 1 : 0;
                twos += entry.getValue() == 2 ? 1 : 0;
            }
            return new Level(counts, contexts, ones == 0 ? 0.5 : ones / (ones + 2.0 * twos));
        }

        double interpolate(long before, int next, double lower) {
            int[] sums = contexts.get(before);
            if (sums == null) {
                return lower;
            }
            double count = counts.getOrDefault(new Gram(before, next), 0);
            return (Math.max(count - discount, 0) + discount * sums[1] * lower) / sums[0];
        }
    }

    /// @param vocabulary ids are 0 to this, exclusive
    public Trigram(int vocabulary) {
        this.vocabulary = vocabulary;
    }

    /// Counts one text, its end token included.
    public void train(int[] ids) {
        three = null;
        long u = BEGIN;
        long v = BEGIN;
        for (int w : ids) {
            trigrams.merge(new Gram(pair(u, v), checked(w)), 1, Integer::sum);
            u = v;
            v = w;
        }
    }

    /// `−ln p` of one text, summed over its ids.
    public double negativeLogLikelihood(int[] ids) {
        prepare();
        double sum = 0;
        long u = BEGIN;
        long v = BEGIN;
        for (int w : ids) {
            sum -= Math.log(probability(u, v, checked(w)));
            u = v;
            v = w;
        }
        return sum;
    }

    /// `exp` of the mean of `−ln p` over all ids of all texts.
    public double perplexity(Iterable<int[]> texts) {
        double sum = 0;
        long ids = 0;
        for (int[] text : texts) {
            sum += negativeLogLikelihood(text);
            ids += text.length;
        }
        if (ids == 0) {
            throw new IllegalArgumentException("no text to measure perplexity on");
        }
        return Math.exp(sum / ids);
    }

    private double probability(long u, long v, int w) {
        return three.interpolate(pair(u, v), w, two.interpolate(v, w, one.interpolate(0, w, 1.0 / vocabulary)));
    }

    private void prepare() {
        if (three != null) {
            return;
        }
        if (trigrams.isEmpty()) {
            throw new IllegalStateException("a trigram model has to be trained before it can predict");
        }
        three = Level.of(trigrams);
        Map<Gram, Integer> bigrams = new HashMap<>();
        trigrams.keySet().forEach(gram -> bigrams.merge(new Gram(second(gram.before()), gram.next()), 1, Integer::sum));
        two = Level.of(bigrams);
        Map<Gram, Integer> unigrams = new HashMap<>();
        bigrams.keySet().forEach(gram -> unigrams.merge(new Gram(0, gram.next()), 1, Integer::sum));
        one = Level.of(unigrams);
    }

    private int checked(int id) {
        if (id < 0 || id >= vocabulary) {
            throw new IllegalArgumentException("id %d is outside the vocabulary of %d".formatted(id, vocabulary));
        }
        return id;
    }

    private static long pair(long u, long v) {
        return u << 32 | v & 0xFFFF_FFFFL;
    }

    private static long second(long pair) {
        return (int) pair;
    }
}
