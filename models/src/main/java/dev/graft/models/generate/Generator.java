package dev.graft.models.generate;

import dev.graft.models.text.Tokenizer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.function.Consumer;
import java.util.function.IntPredicate;
import java.util.function.Predicate;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/// Continues prompts with a language model: greedily, by sampling or by beam search, one prompt or many at once.
///
/// ```java
/// Generator generator = new Generator(model, tokenizer, GenerationConfig.defaults().withEosIds(tokenizer.specialIds().eos()).withMaxNewTokens(64));
/// generator.stream("Once upon a time", System.out::print);
/// ```
///
/// What comes out for a prompt does not depend on the prompts beside it: finished rows leave the batch, padding is masked by the model, and
/// draws are numbered by prompt and step. A row that cannot go on ends alone, as [FinishReason#FAILED]. (A model may round differently for another batch size; that is its own affair.)
public final class Generator {
    private final StepModel model;
    private final Optional<Tokenizer> tokenizer;
    private final GenerationConfig config;
    private final List<LogitsProcessor> processors;
    private final StopStrings stops;

    /// A generator of text.
    public Generator(StepModel model, Tokenizer tokenizer, GenerationConfig config) {
        this(model, Optional.of(tokenizer), config);
    }

    /// A generator of ids. Stop strings need a tokenizer.
    public Generator(StepModel model, GenerationConfig config) {
        this(model, Optional.empty(), config);
    }

    private Generator(StepModel model, Optional<Tokenizer> tokenizer, GenerationConfig config) {
        this.model = Objects.requireNonNull(model, "model");
        this.tokenizer = tokenizer;
        this.config = config;
        processors = LogitsProcessor.of(config);
        stops = new StopStrings(config.stopStrings());
        Require.that(tokenizer.isPresent() || config.stopStrings().isEmpty(), "stop_strings", "need a tokenizer", config.stopStrings());
    }

    /// The text that follows `prompt`.
    ///
    /// @throws GenerationException if it cannot be completed
    public String text(String prompt) {
        Generation generation = generate(List.of(encode(prompt))).getFirst();
        generation.failure().ifPresent(why -> {
            throw new GenerationException(why);
        });
        return generation.text().orElseThrow();
    }

    /// Hands out the text that follows `prompt` as it comes. Not for beam search, which knows its text only at the end.
    public Generation stream(String prompt, Consumer<String> listener) {
        return generate(List.of(encode(prompt)), new Pieces(listener)).getFirst();
    }

    /// Hands on the text of a single row.
    private record Pieces(Consumer<String> to) implements TokenListener {
        @Override
        public void onToken(int row, int id, String piece) {
            if (!piece.isEmpty()) {
                to.accept(piece);
            }
        }

        @Override
        public void onFailure(int row, String why, String piece) {
            if (!piece.isEmpty()) {
                to.accept(piece);
            }
        }
    }

    /// Continues each prompt.
    public List<Generation> generate(List<int[]> prompts) {
        return generate(prompts, IntStream.range(0, prompts.size()).toArray());
    }

    /// Continues each prompt; what is drawn for it depends on its number, not on its place among these.
    ///
    /// @param numbers one per prompt, as its index among all that there are
    public List<Generation> generate(List<int[]> prompts, int[] numbers) {
        Require.that(numbers.length == prompts.size(), "numbers", "must be as many as prompts (" + prompts.size() + ")", numbers.length);
        check(prompts);
        if (prompts.isEmpty()) {
            return List.of();
        }
        return config.numBeams() > 1 ? search(prompts) : sample(prompts, numbers, (_, _, _) -> {});
    }

    /// Continues each prompt and tells `listener` of every token.
    public List<Generation> generate(List<int[]> prompts, TokenListener listener) {
        Require.that(config.numBeams() == 1, "num_beams", "must be 1 to stream, for a beam search knows its text only at the end",
                config.numBeams());
        check(prompts);
        return prompts.isEmpty() ? List.of() : sample(prompts, IntStream.range(0, prompts.size()).toArray(), listener);
    }

    private List<Generation> sample(List<int[]> prompts, int[] numbers, TokenListener listener) {
        List<Continuation> rows = IntStream.range(0, prompts.size())
                .mapToObj(i -> new Continuation(prompts.get(i), numbers[i], config, tokenizer))
                .toList();
        List<Continuation> open = rows;
        try (Session session = model.open(prompts, config.maxNewTokens())) {
            while (true) {
                float[][] logits = session.logits();
                for (int i = 0; i < open.size(); i++) {
                    Continuation row = open.get(i);
                    float[] scores = logits[i];
                    session.failure(i).ifPresentOrElse(why -> row.fail(why, listener), () -> row.take(scores, listener));
                }
                int[] going = IntStream.range(0, open.size()).filter(unfinished(open)).toArray();
                if (going.length == 0) {
                    return rows.stream().map(Continuation::generation).toList();
                }
                if (going.length < open.size()) {
                    session.reorder(going);
                    open = Arrays.stream(going).mapToObj(open::get).toList();
                }
                session.advance(open.stream().mapToInt(Continuation::last).toArray());
            }
        }
    }

    private static IntPredicate unfinished(List<Continuation> rows) {
        return i -> !rows.get(i).isOver();
    }

    private List<Generation> search(List<int[]> prompts) {
        int beams = config.numBeams();
        List<BeamSearch> searches = prompts.stream().map(prompt -> new BeamSearch(config, prompt.length, stopTest())).toList();
        int[] open = IntStream.range(0, prompts.size()).toArray(); // prompts whose search goes on
        Map<Integer, String> failures = new HashMap<>(); // of prompts one of whose beams cannot go on: they are over
        IntPredicate done = prompt -> failures.containsKey(prompt) || searches.get(prompt).done();
        int perPrompt = 1; // rows of the session per open prompt: one until there is a first token
        try (Session session = model.open(prompts, config.maxNewTokens())) {
            while (true) {
                float[][] logits = session.logits();
                List<BeamSearch.Step> steps = new ArrayList<>();
                for (int i = 0; i < open.length; i++) {
                    Optional<String> failure = failure(session, i * perPrompt, perPrompt);
                    if (failure.isPresent()) {
                        failures.put(open[i], failure.get());
                        steps.add(null);
                        continue;
                    }
                    float[][] rows = Arrays.copyOfRange(logits, i * perPrompt, (i + 1) * perPrompt);
                    steps.add(searches.get(open[i]).advance(logProbabilities(rows, prompts.get(open[i]), searches.get(open[i]).beams())));
                }
                List<Integer> parents = new ArrayList<>();
                List<Integer> tokens = new ArrayList<>();
                for (int i = 0; i < open.length; i++) {
                    if (!done.test(open[i])) {
                        for (int beam = 0; beam < beams; beam++) {
                            parents.add(i * perPrompt + (perPrompt == 1 ? 0 : steps.get(i).parents()[beam]));
                            tokens.add(steps.get(i).tokens()[beam]);
                        }
                    }
                }
                open = Arrays.stream(open).filter(done.negate()).toArray();
                if (open.length == 0) {
                    return IntStream.range(0, prompts.size()).mapToObj(i -> best(searches.get(i), failures.get(i))).toList();
                }
                perPrompt = beams;
                session.reorder(parents.stream().mapToInt(Integer::intValue).toArray());
                session.advance(tokens.stream().mapToInt(Integer::intValue).toArray());
            }
        }
    }

    /// As many rows as beams; before the first token all beams share the prompt's row.
    private float[][] logProbabilities(float[][] rows, int[] prompt, int[][] beams) {
        for (int i = 0; i < rows.length; i++) {
            Softmax.log(rows[i]);
            int[] ids = IntStream.concat(Arrays.stream(prompt), Arrays.stream(beams[i])).toArray();
            float[] scores = rows[i];
            processors.forEach(processor -> processor.process(scores, ids, prompt.length));
        }
        return rows.length == beams.length ? rows : Stream.generate(() -> rows[0]).limit(beams.length).toArray(float[][]::new);
    }

    private static Optional<String> failure(Session session, int from, int rows) {
        return IntStream.range(from, from + rows).mapToObj(session::failure).flatMap(Optional::stream).findFirst();
    }

    private Generation best(BeamSearch search, String failure) {
        if (failure != null) {
            int[] ids = search.beams()[0];
            return new Generation(ids, FinishReason.FAILED, 0, tokenizer.map(t -> t.decode(ids)), Optional.of(failure));
        }
        BeamSearch.Hypothesis best = search.finished().getFirst();
        boolean eos = config.eosIds().contains(best.ids()[best.ids().length - 1]);
        FinishReason reason = eos ? FinishReason.EOS : best.ended() ? FinishReason.STOP_STRING : FinishReason.LENGTH;
        int[] said = eos ? Arrays.copyOf(best.ids(), best.ids().length - 1) : best.ids();
        Optional<String> text = tokenizer.map(t -> t.decode(said)).map(whole -> {
            int at = stops.find(whole, 0);
            return at < 0 ? whole : whole.substring(0, at);
        });
        return new Generation(best.ids(), reason, best.score(), text, Optional.empty());
    }

    /// Whether the last token completes a stop string. Only the end of the text is decoded: a stop string of n characters lies within the last
    /// 4 n tokens, a character being at most four tokens.
    private Predicate<int[]> stopTest() {
        if (config.stopStrings().isEmpty()) {
            return _ -> false;
        }
        int window = 4 * stops.longest() + 4;
        return ids -> stops.find(tokenizer.orElseThrow().decode(Arrays.copyOfRange(ids, Math.max(0, ids.length - window), ids.length)),
                0) >= 0;
    }

    private int[] encode(String prompt) {
        return tokenizer.orElseThrow(() -> new IllegalStateException("[generation] a text prompt needs a generator with a tokenizer"))
                .encode(prompt);
    }

    private static void check(List<int[]> prompts) {
        for (int i = 0; i < prompts.size(); i++) {
            Require.that(prompts.get(i).length > 0, "prompt " + i, "must have at least one token (begin with the tokenizer's bos)", "none");
        }
    }
}
