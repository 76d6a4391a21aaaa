package dev.graft.peft.combine;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.graft.models.CausalLm;
import dev.graft.models.ModelLoader;
import dev.graft.models.generate.GenerationException;
import dev.graft.models.io.Json;
import dev.graft.peft.Peft;
import dev.graft.peft.method.Pedro;
import dev.graft.peft.train.Example;
import dev.graft.tensor.DType;
import dev.graft.tensor.Scope;
import dev.graft.tensor.Tensor;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

/// Two models that are each good in half of the contexts.
class FittingTest {
    private static final int V = 9;

    /// Behind an even token comes the next but one; behind an odd one the next. The small model knows the first and is at a loss with the second; with the large one it is the other
    /// way round. At a loss, a model takes a wrong token for a little likelier than the right one.
    private static float[] scores(int last, boolean knows) {
        float[] scores = new float[V];
        scores[next(last)] = knows ? 5 : 0;
        scores[(next(last) + 4) % V] = knows ? 0 : 0.5f;
        return scores;
    }

    private static int next(int last) {
        return (last + (last % 2 == 0 ? 2 : 1)) % V;
    }

    private static final Pair MODELS = new Pair(box(0), box(1));

    private static BlackBox box(int knows) {
        return (ids, _) -> Arrays.stream(ids, 0, ids.length - 1).mapToObj(last -> scores(last, last % 2 == knows)).toArray(float[][]::new);
    }

    /// Texts in which what is likely mostly comes.
    private static List<Example> texts(int many, long seed) {
        Random random = new Random(seed);
        List<Example> texts = new ArrayList<>();
        for (int i = 0; i < many; i++) {
            int[] ids = new int[33];
            ids[0] = random.nextInt(V);
            for (int t = 1; t < ids.length; t++) ids[t] = random.nextInt(10) == 0 ? random.nextInt(V) : next(ids[t - 1]);
            texts.add(Example.of(ids));
        }
        return texts;
    }

    @Test
    void whatKnowsTheContextBeatsBothModelsAndTheirMean() {
        Map<Form, Perplexities> found = new EnumMap<>(Form.class);
        for (Form form : Form.values()) {
            try (Combination how = Combination.of(form, V, 24, 1)) {
                Fitting.of(form).withBatch(67).withEpochs(4).fit(how, MODELS, texts(60, 1), (_, _) -> {});
                found.put(form, Perplexities.of(how, MODELS, texts(40, 2)));
            }
        }
        Perplexities mean = found.get(Form.MEAN);
        assertThat(mean.combined()).isCloseTo(mean.mean(), within(1e-9));
        assertThat(mean.tokens()).isEqualTo(40 * 32);
        assertThat(mean.mean()).isLessThan(Math.min(mean.small(), mean.large()));
        for (Form form : new Form[] {Form.ENTROPY_SCALAR, Form.ENTROPY_VECTOR, Form.FULL_SCALAR, Form.FULL_VECTOR}) {
            assertThat(found.get(form).combined()).as(form + " of " + found.get(form)).isLessThan(0.85 * mean.mean())
                    .isGreaterThan(mean.oracle());
        }
        assertThat(found.get(Form.CONSTANT_SCALAR).combined()).as("no constant can tell them apart").isGreaterThan(0.95 * mean.mean());
    }

    /// Of a text's tokens as the two models see them.
    private static double loss(double lambda, List<Example> texts) {
        double sum = 0;
        for (Example text : texts) {
            for (int t = 1; t < text.ids().length; t++) {
                int last = text.ids()[t - 1], token = text.ids()[t];
                sum -= Math.log(lambda * probability(scores(last, last % 2 == 0), token)
                        + (1 - lambda) * probability(scores(last, last % 2 == 1), token));
            }
        }
        return sum;
    }

    /// Even tokens are more than odd ones, so the small model is worth more than half.
    @Test
    void aConstantIsTheBestThereIs() {
        List<Example> texts = texts(60, 1);
        double best = IntStream.rangeClosed(1, 199).mapToObj(i -> i / 200.0).min(Comparator.comparingDouble(l -> loss(l, texts)))
                .orElseThrow();
        assertThat(best).isBetween(0.55, 0.95);
        Map<Form, Double> perplexity = new EnumMap<>(Form.class);
        for (Form form : List.of(Form.CONSTANT_SCALAR, Form.CONSTANT_VECTOR)) {
            try (Combination how = Combination.of(form, V, 1)) {
                Fitting.of(form).withLearningRate(0.05).withBatch(480).withEpochs(60).fit(how, MODELS, texts, (_, _) -> {});
                float[] u = how.trained().getFirst().value().toFloats();
                if (form == Form.CONSTANT_SCALAR) assertThat(1 / (1 + Math.exp(-u[0]))).isCloseTo(best, within(0.02));
                perplexity.put(form, Perplexities.of(how, MODELS, texts).combined());
            }
        }
        assertThat(perplexity.get(Form.CONSTANT_SCALAR)).isCloseTo(Math.exp(loss(best, texts) / (60 * 32)), within(1e-3));
        assertThat(perplexity.get(Form.CONSTANT_VECTOR)).as("a number for each token says more")
                .isLessThan(perplexity.get(Form.CONSTANT_SCALAR));
    }

    @Test
    void settingsAreThePapers() {
        assertThat(Fitting.of(Form.CONSTANT_VECTOR)).isEqualTo(new Fitting(1e-2, 1024, 1, 1));
        assertThat(Fitting.of(Form.ENTROPY_SCALAR)).isEqualTo(new Fitting(2e-3, 1024, 1, 1));
    }

    @Test
    void perplexitiesAreTheirDefinitions() {
        Example text = Example.of(new int[] {0, 2, 4, 7, 8, 1, 5}, 3);                       // of it 7, 8, 1 and 5 count
        double[] sums = new double[4];
        for (int t = 3; t < 7; t++) {
            int last = text.ids()[t - 1], token = text.ids()[t];
            double s = probability(scores(last, last % 2 == 0), token), l = probability(scores(last, last % 2 == 1), token);
            double[] of = {s, l, (s + l) / 2, Math.max(s, l)};
            for (int i = 0; i < 4; i++) sums[i] -= Math.log(of[i]) / 4;
        }
        try (Combination how = Combination.of(Form.CONSTANT_SCALAR, V, 1)) {
            Perplexities found = Perplexities.of(how, MODELS, List.of(text, Example.of(new int[] {3})));
            assertThat(new double[] {found.small(), found.large(), found.mean(), found.oracle()})
                    .containsExactly(Arrays.stream(sums).map(Math::exp).toArray(), within(1e-5));
            assertThat(found.tokens()).isEqualTo(4);
            assertThat(found.table(how.form())).contains("constant-scalar", "oracle");
        }
    }

    private static double probability(float[] scores, int token) {
        double sum = 0;
        for (float score : scores) sum += Math.exp(score);
        return Math.exp(scores[token]) / sum;
    }

    @Test
    void theSameSeedGivesTheSameBits() {
        float[][] values = new float[2][];
        for (int i = 0; i < 2; i++) {
            try (Combination how = Combination.of(Form.CONSTANT_VECTOR, V, 5)) {
                Fitting.of(how.form()).withBatch(50).withSeed(3).fit(how, MODELS, texts(9, 1), (_, _) -> {});
                values[i] = how.trained().getFirst().value().toFloats();
            }
        }
        assertThat(values[0]).isEqualTo(values[1]);
        assertThat(values[0]).isNotEqualTo(new float[V]);
    }

    @Test
    void aModelThatIsAskedStepByStepSaysTheSame() {
        BlackBox stepwise = BlackBox.of(new Scripted(ids -> scores(ids[ids.length - 1], ids[ids.length - 1] % 2 == 0)));
        int[] ids = {3, 0, 8, 1, 1};
        assertThat(stepwise.read(ids, 2)).isDeepEqualTo(MODELS.small().read(ids, 2));
    }

    @Test
    void whatAnAdapterMakesOfThePromptKnowsNothingOfTheAnswer() {
        try (CausalLm model = ModelLoader.empty(Json.parse(Json.format(Map.of("model_type", "llama", "vocab_size", V, "hidden_size", 8,
                "intermediate_size", 12, "num_hidden_layers", 1, "num_attention_heads", 2, "initializer_range", 0.5)), "small"))) {
            model.initialise(3);
            try (Peft peft = Peft.attach(model, Pedro.DEFAULT.with("r", 3), 5)) {
                try (var _ = Scope.untracked()) {
                    peft.parameters().forEach(p -> p.value().assign(Tensor.randn(DType.F32, p.shape(), 4)));
                }
                BlackBox box = BlackBox.of(model);
                float[][] one = box.read(new int[] {1, 2, 3, 4, 5}, 2), other = box.read(new int[] {1, 2, 3, 8, 0}, 2);
                for (int t = 0; t < 3; t++) assertThat(other[t]).as("behind token " + t).containsExactly(one[t], within(1e-5f));
                assertThat(box.read(new int[] {1, 2, 3, 4, 5}, 3)[3]).as("another prompt").isNotEqualTo(one[3]);
            }
        }
    }

    @Test
    void mistakesAreToldByName() {
        try (Combination how = Combination.of(Form.CONSTANT_SCALAR, V, 1);
                Combination wider = Combination.of(Form.CONSTANT_SCALAR, V + 1, 1)) {
            Fitting fitting = Fitting.of(how.form());
            assertThatThrownBy(() -> fitting.fit(how, MODELS, List.of(Example.of(1)), (_, _) -> {}))
                    .hasMessageContaining("there is no token to learn from in 1 texts");
            assertThatThrownBy(() -> fitting.fit(how, MODELS, List.of(Example.of(1, 9)), (_, _) -> {}))
                    .hasMessageContaining("token 9 is none that both models know; they share 0 … 8");
            assertThatThrownBy(() -> Perplexities.of(wider, MODELS, texts(1, 1)))
                    .hasMessageContaining("the small model scores 9 tokens, and the combination was made for 10");
            BlackBox broken = (ids, _) -> {
                float[][] rows = MODELS.large().read(ids, 1);
                rows[1][4] = Float.NaN;
                return rows;
            };
            assertThatThrownBy(() -> Perplexities.of(how, new Pair(MODELS.small(), broken), texts(1, 1)))
                    .isInstanceOf(GenerationException.class).hasMessageContaining("the large model's score of token 4 is NaN");
            assertThatThrownBy(
                    () -> Perplexities.of(how, MODELS, List.of(new Example(new int[] {1, 2}, new int[] {1, 2}, 1, new float[] {1, -1}))))
                    .hasMessageContaining("all tokens count alike here");
            assertThatThrownBy(() -> fitting.withBatch(1 << 29).fit(how, MODELS, texts(1, 1), (_, _) -> {}))
                    .hasMessageContaining("too large for a vocabulary of 9; take at most 119304647");
            assertThatThrownBy(() -> fitting.withBatch(1)).hasMessageContaining("at least 2 tokens, got 1");
            assertThatThrownBy(() -> fitting.withLearningRate(-1)).hasMessageContaining("above 0, got -1.0");
            assertThatThrownBy(() -> fitting.withEpochs(0)).hasMessageContaining("at least 1 epoch");
        }
    }
}
