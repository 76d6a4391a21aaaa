package dev.graft.models.generate;

import dev.graft.models.generate.GenerationConfig.EarlyStopping;
import dev.graft.models.generate.GenerationConfig.LengthNorm;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.function.Predicate;
import java.util.stream.IntStream;

/// Beam search for one prompt, with the book-keeping of transformers 5: per step the best `(1 + end tokens) · K` continuations of all `K`
/// beams (at least `2 K`); those that end, if among the best `K`, become hypotheses; the best `K` that do not end go on.
///
/// ```
/// score of a beam        = Σ log p(token)
/// score of a hypothesis  = Σ log p(token) / length^length_penalty
/// ```
///
/// It knows nothing of models: [#advance(float\[\]\[\])] takes the log-probabilities of the beams' next tokens and says which beam each
/// new beam continues, and with which token. Sums are in `float`, as in transformers, so that near ties fall the same way.
public final class BeamSearch {
    private static final float NEVER = -1e9f;

    /// The beams of the next step: beam `i` continues beam `parents[i]` with `tokens[i]`.
    public record Step(int[] parents, int[] tokens) {}

    /// A finished text. `ended` tells an end token or stop string from running out of length.
    public record Hypothesis(int[] ids, float score, boolean ended) {}

    private record Candidate(int parent, int token, float score, boolean ends, boolean stops) {
        boolean finishes() {
            return ends || stops;
        }
    }

    private final GenerationConfig config;
    private final int promptLength;
    private final Predicate<int[]> stop;
    private int[][] beams;
    private float[] scores;
    private final List<Hypothesis> finished = new ArrayList<>();
    private int length;
    private boolean done;

    /// @param promptLength tokens of the prompt, which count where [LengthNorm#FULL] says so
    /// @param stop         whether generated ids end a text for another reason than an end token, as with stop strings
    public BeamSearch(GenerationConfig config, int promptLength, Predicate<int[]> stop) {
        this.config = config;
        this.promptLength = promptLength;
        this.stop = stop;
        beams = new int[config.numBeams()][0];
        scores = new float[config.numBeams()];
        Arrays.fill(scores, 1, scores.length, NEVER); // all beams are alike before the first token
    }

    /// Whether the search is over.
    public boolean done() {
        return done;
    }

    /// The generated ids of the running beams, best first, all of one length.
    public int[][] beams() {
        return beams;
    }

    /// The hypotheses, best first. Complete once [#done()].
    public List<Hypothesis> finished() {
        return List.copyOf(finished);
    }

    /// Goes on by one token.
    ///
    /// @param logProbabilities of the next token of each beam, `[K][V]`, after all processors. At the first step all rows are the same, and
    ///                         may be the same array
    public Step advance(float[][] logProbabilities) {
        if (done) {
            throw new IllegalStateException("this beam search is over");
        }
        if (logProbabilities.length != beams.length) {
            throw new IllegalArgumentException(
                    "%d beams need as many rows of log-probabilities, got %d".formatted(beams.length, logProbabilities.length));
        }
        List<Candidate> candidates = best(logProbabilities, Math.max(2, 1 + config.eosIds().size()) * beams.length);
        length++;
        finish(candidates);
        return goOn(candidates);
    }

    private List<Candidate> best(float[][] logProbabilities, int wanted) {
        int vocabulary = logProbabilities[0].length;
        int keep = Math.min(wanted, beams.length * vocabulary);
        float[] score = new float[keep];
        long[] place = new long[keep];
        int n = 0;
        for (int beam = 0; beam < beams.length; beam++) {
            for (int token = 0; token < vocabulary; token++) {
                float s = logProbabilities[beam][token] + scores[beam];
                if (n == keep && s <= score[n - 1]) {
                    continue;
                }
                int at = n < keep ? n++ : n - 1;
                for (; at > 0 && score[at - 1] < s; at--) {
                    score[at] = score[at - 1];
                    place[at] = place[at - 1];
                }
                score[at] = s;
                place[at] = (long) beam * vocabulary + token;
            }
        }
        return IntStream.range(0, n).mapToObj(i -> candidate((int) (place[i] / vocabulary), (int) (place[i] % vocabulary), score[i]))
                .toList();
    }

    private Candidate candidate(int parent, int token, float score) {
        boolean ends = config.eosIds().contains(token) || stop.test(append(beams[parent], token));
        return new Candidate(parent, token, score, ends, length + 1 >= config.maxNewTokens());
    }

    /// Continuations that end become hypotheses if they are among the best `K`; the worst hypotheses make room.
    private void finish(List<Candidate> candidates) {
        for (Candidate candidate : candidates.subList(0, Math.min(beams.length, candidates.size()))) {
            if (candidate.finishes()) {
                boolean eos = config.eosIds().contains(candidate.token);
                finished.add(new Hypothesis(append(beams[candidate.parent], candidate.token), normalised(candidate.score, length, eos),
                        candidate.ends));
            }
        }
        finished.sort(Comparator.comparingDouble(Hypothesis::score).reversed());
        if (finished.size() > beams.length) {
            finished.subList(beams.length, finished.size()).clear();
        }
    }

    private Step goOn(List<Candidate> candidates) {
        // A continuation that ends has no place among the beams unless too few others are left.
        List<Candidate> next = candidates.stream()
                .sorted(Comparator.comparingDouble((Candidate c) -> c.score + (c.finishes() ? NEVER : 0)).reversed())
                .limit(beams.length).toList();
        int[][] grown = new int[beams.length][];
        float[] grownScores = new float[beams.length];
        Step step = new Step(new int[beams.length], new int[beams.length]);
        for (int i = 0; i < grown.length; i++) {
            Candidate candidate = next.get(i);
            grown[i] = append(beams[candidate.parent], candidate.token);
            grownScores[i] = candidate.score + (candidate.finishes() ? NEVER : 0);
            step.parents[i] = candidate.parent;
            step.tokens[i] = candidate.token;
        }
        beams = grown;
        scores = grownScores;
        float worst = full() ? finished.getLast().score() : NEVER;
        boolean byFinalLength = config.earlyStopping() == EarlyStopping.NEVER && config.lengthPenalty() > 0;
        boolean improvable = normalised(scores[0], byFinalLength ? config.maxNewTokens() : length, false) > worst;
        done = !improvable || full() && config.earlyStopping() == EarlyStopping.AT_ONCE
                || candidates.stream().allMatch(Candidate::finishes);
        if (done && finished.isEmpty()) throw GenerationException.ruledOut();
        return step;
    }

    private boolean full() {
        return finished.size() == beams.length;
    }

    private float normalised(float score, int generated, boolean eos) {
        int tokens = switch (config.lengthNorm()) {
            case GENERATED -> generated;
            case FULL -> promptLength + generated - (eos ? 1 : 0);
        };
        return score / (float) Math.pow(tokens, config.lengthPenalty());
    }

    private static int[] append(int[] ids, int id) {
        int[] grown = Arrays.copyOf(ids, ids.length + 1);
        grown[ids.length] = id;
        return grown;
    }
}
