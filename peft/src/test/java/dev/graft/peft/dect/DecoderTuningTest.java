package dev.graft.peft.dect;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.graft.models.io.CheckpointException;
import dev.graft.nn.Parameter;
import dev.graft.peft.dect.DecoderTuning.Settings;
import dev.graft.peft.eval.DataException;
import dev.graft.peft.eval.Item;
import dev.graft.tensor.Backends;
import dev.graft.tensor.DType;
import dev.graft.tensor.Grads;
import dev.graft.tensor.Scope;
import dev.graft.tensor.Shape;
import dev.graft.tensor.Tape;
import dev.graft.tensor.Tensor;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// The head, beside itself in loops.
class DecoderTuningTest {
    private static final int C = 11;
    private static final int WIDTH = 5;
    private static final LabelWords WORDS = new LabelWords(List.of("good", "bad", "so-so"),
            List.of(List.of("good", "great"), List.of("bad"), List.of("fair", "even")));
    private static final Reading EMPTY = new Reading(new float[C], new float[] {0.4f, 0.1f, 0.2f, 0.25f, 0.05f});
    private static final int[] CLASSES = {0, 2, 1, 1, 0, 2, 0};

    @TempDir
    Path folder;

    /// Hidden states drawn around a direction of each class; words that say next to nothing.
    private static List<Reading> readings(int[] classes, double noise, long seed) {
        return readings(C, classes, noise, seed);
    }

    private static List<Reading> readings(int width, int[] classes, double noise, long seed) {
        Random random = new Random(seed);
        List<Reading> readings = new ArrayList<>();
        for (int k : classes) {
            float[] hidden = new float[width];
            for (int c = 0; c < width; c++) hidden[c] = (float) (3 * Math.sin(2.1 * c * (k + 1)) + noise * random.nextGaussian());
            float[] words = new float[5];
            for (int w = 0; w < 5; w++) words[w] = EMPTY.words()[w] * (1 + 0.1f * random.nextFloat());
            readings.add(new Reading(hidden, words));
        }
        return readings;
    }

    private static DecoderTuning fit(int epochs) {
        return DecoderTuning.fit(WORDS, EMPTY, readings(CLASSES, 1, 1), CLASSES, new Settings(WIDTH, 0.7, 0.01, epochs, 3));
    }

    private static Map<String, double[]> values(DecoderTuning head) {
        Map<String, double[]> values = new LinkedHashMap<>();
        head.parameters().forEach(p -> values.put(p.name(), p.value().toDoubles()));
        return values;
    }

    // ---- in loops ----

    private static double[] projected(double[] w, float[] h) {
        double[] z = new double[WIDTH];
        for (int i = 0; i < WIDTH; i++) for (int c = 0; c < C; c++) z[i] += w[i * C + c] * h[c];
        double norm = Math.sqrt(Arrays.stream(z).map(v -> v * v).sum());
        return Arrays.stream(z).map(v -> v / norm).toArray();
    }

    private static double distance(double[] a, double[] b, int from) {
        double sum = 0;
        for (int i = 0; i < WIDTH; i++) sum += Math.pow(a[i] - b[from + i], 2);
        return Math.sqrt(sum);
    }

    private static double[] calibrated(float[] words) {
        double[] of = new double[5];
        for (int w = 0; w < 5; w++) of[w] = words[w] * 0.2 / EMPTY.words()[w];                // 0.2 is their mean
        return new double[] {Math.max(of[0], of[1]), of[2], Math.max(of[3], of[4])};
    }

    @Test
    void scoresAndStartAreTheFormulas() {
        List<Reading> readings = readings(CLASSES, 1, 1);
        try (DecoderTuning head = fit(0)) {
            Map<String, double[]> start = values(head);
            for (int k = 0; k < 3; k++) {
                int label = k;
                double[][] own = IntStream.range(0, CLASSES.length).filter(n -> CLASSES[n] == label)
                        .mapToObj(n -> projected(start.get("weight"), readings.get(n).hidden())).toArray(double[][]::new);
                double[] mean = new double[WIDTH];
                for (double[] z : own) for (int i = 0; i < WIDTH; i++) mean[i] += z[i] / own.length;
                assertThat(start.get("radii")[k]).isCloseTo(
                        Arrays.stream(own).mapToDouble(z -> distance(z, mean, 0)).average().orElseThrow(),
                        within(1e-6));
            }
            double bound = Math.sqrt(6.0 / (3 + WIDTH));
            assertThat(Arrays.stream(start.get("prototypes")).boxed()).allMatch(p -> Math.abs(p) <= bound).anyMatch(p -> p > bound / 2)
                    .anyMatch(p -> p < -bound / 2);
        }
        try (DecoderTuning head = fit(20)) {
            Map<String, double[]> w = values(head);
            int[] predicted = head.predict(readings);
            int[] bare = head.predictBare(readings);
            for (int n = 0; n < CLASSES.length; n++) {
                double[] s = calibrated(readings.get(n).words());
                double[] z = projected(w.get("weight"), readings.get(n).hidden());
                double[] score = new double[3];
                for (int k = 0; k < 3; k++) score[k] = -distance(z, w.get("prototypes"), k * WIDTH) + w.get("radii")[k] + 0.7 * s[k];
                assertThat(predicted[n]).isEqualTo(best(score));
                assertThat(bare[n]).isEqualTo(best(s));
                try (var _ = Scope.open()) {
                    float[] own = head.calibrated(readings.get(n));
                    for (int k = 0; k < 3; k++) assertThat((double) own[k]).isCloseTo(s[k], within(1e-6));
                    assertThat(head.scores(Tensor.of(readings.get(n).hidden(), 1, C), Tensor.of(own, 1, 3)).toDoubles())
                            .containsExactly(score, within(1e-5));
                }
            }
        }
    }

    private static int best(double[] scores) {
        return IntStream.range(0, scores.length).reduce((a, b) -> scores[b] > scores[a] ? b : a).orElseThrow();
    }

    @Test
    void trainingMovesTheProjectionAndTheRadiiAlone() {
        try (DecoderTuning before = fit(0); DecoderTuning after = fit(5)) {
            Map<String, double[]> was = values(before), is = values(after);
            assertThat(is.get("prototypes")).containsExactly(was.get("prototypes"));
            assertThat(is.get("empty")).containsExactly(was.get("empty"));
            for (String moved : List.of("weight", "radii"))
                for (int i = 0; i < is.get(moved).length; i++)
                    assertThat(Math.abs(is.get(moved)[i] - was.get(moved)[i])).as(moved).isBetween(1e-5, 0.06);
        }
    }

    @Test
    void gradientsAgreeWithCentralDifferences() {
        try (var _ = Scope.open(Backends.named("reference")); DecoderTuning head = fit(0)) {
            head.parameters().forEach(p -> p.fill(p.value().to(DType.F64).copy()));
            Tensor h = Tensor.randn(DType.F64, Shape.of(CLASSES.length, C), 5);
            Tensor s = Tensor.randn(DType.F64, Shape.of(CLASSES.length, 3), 6);
            List<Parameter> trained = head.parameters().filter(p -> p.name().equals("weight") || p.name().equals("radii")).toList();
            trained.forEach(p -> p.trainable(true));
            Map<Parameter, double[]> gradients = new LinkedHashMap<>();
            try (Tape tape = Tape.open(); Grads grads = tape.backward(head.loss(h, s, CLASSES))) {
                trained.forEach(p -> gradients.put(p, grads.of(p).toDoubles()));
            }
            gradients.forEach((p, gradient) -> {
                double[] at = p.value().toDoubles();
                for (int i = 0; i < at.length; i++) {
                    double[] slope = new double[2];
                    for (int side = 0; side < 2; side++) {
                        double[] moved = at.clone();
                        moved[i] += side == 0 ? 1e-5 : -1e-5;
                        p.value().assign(Tensor.of(moved, p.shape().dims()));
                        slope[side] = head.loss(h, s, CLASSES).item();
                    }
                    p.value().assign(Tensor.of(at, p.shape().dims()));
                    assertThat(gradient[i]).as(p.name() + " " + i).isCloseTo((slope[0] - slope[1]) / 2e-5, within(1e-7));
                }
                assertThat(Arrays.stream(gradient).map(Math::abs).sum()).isPositive();
            });
        }
    }

    // ---- what it is for ----

    @Test
    void aFewExamplesTeachWhatTheWordsDoNotSay() {
        int[] shots = IntStream.range(0, 3 * 8).map(n -> n % 3).toArray();
        int[] test = new Random(9).ints(300, 0, 3).toArray();
        List<Reading> asked = readings(97, test, 4, 10);
        Reading nothing = new Reading(new float[97], EMPTY.words());
        try (DecoderTuning head = DecoderTuning.fit(WORDS, nothing, readings(97, shots, 4, 8), shots, Settings.DEFAULT)) {
            assertThat(accuracy(head.predict(asked), test)).isGreaterThan(0.95);
            assertThat(accuracy(head.predictBare(asked), test)).isLessThan(0.6);
        }
    }

    private static double accuracy(int[] predicted, int[] expected) {
        return IntStream.range(0, expected.length).filter(n -> predicted[n] == expected[n]).count() / (double) expected.length;
    }

    @Test
    void calibrationTakesAwayWhatAModelSaysWhateverItIsAsked() {
        Reading bad = new Reading(new float[C], new float[] {0.35f, 0.1f, 0.3f, 0.2f, 0.05f});      // 'good' is likelier, but not by as much as always
        try (DecoderTuning head = fit(0)) {
            assertThat(head.predictBare(List.of(bad))).containsExactly(1);
        }
    }

    // ---- files and mistakes ----

    @Test
    void whatIsSavedIsLoaded() throws IOException {
        List<Reading> asked = readings(new int[] {0, 1, 2, 2, 1, 0}, 4, 12);
        try (DecoderTuning head = fit(7)) {
            head.save(folder);
            try (DecoderTuning again = DecoderTuning.load(folder)) {
                assertThat(again.words()).isEqualTo(WORDS);
                assertThat(values(again)).usingRecursiveComparison().isEqualTo(values(head));
                assertThat(again.predict(asked)).isEqualTo(head.predict(asked));
            }
        }
        Path config = folder.resolve("dect.json");
        Files.writeString(config, Files.readString(config).replace("\"width\": 5", "\"width\": 6"));
        assertThatThrownBy(() -> DecoderTuning.load(folder)).isInstanceOf(CheckpointException.class)
                .hasMessageContaining("is [5, 11], and must be [6, 11] here");
    }

    @Test
    void shotsAreDrawnBySeed() {
        List<Item> items = IntStream.range(0, 40).mapToObj(i -> new Item("q" + i, "", "", i % 10 == 0 ? "b" : "a")).toList();
        LabelWords words = LabelWords.of(List.of("a", "b", "c"));
        Shots one = Shots.draw(items, words, 6, 1);
        assertThat(one.words().labels()).containsExactly("a", "b");
        assertThat(one.items()).hasSize(6 + 4).doesNotHaveDuplicates();
        assertThat(one.classes()).containsExactly(0, 0, 0, 0, 0, 0, 1, 1, 1, 1);
        assertThat(Shots.draw(items, words, 6, 1)).isEqualTo(one);
        assertThat(Shots.draw(items, words, 6, 2).items()).isNotEqualTo(one.items());
        assertThatThrownBy(() -> Shots.draw(items, LabelWords.of(List.of("a", "c")), 1, 1)).isInstanceOf(DataException.class)
                .hasMessageContaining("record 0: the answer 'b' is no class; there are [a, c]");
        assertThatThrownBy(() -> Shots.draw(items.subList(1, 9), words, 1, 1)).hasMessageContaining("all 8 are of [a]");
        assertThatThrownBy(() -> Shots.draw(items, words, 0, 1)).hasMessageContaining("at least one example of each class, got 0");
    }

    @Test
    void mistakesAreToldByName() {
        assertThatThrownBy(() -> LabelWords.of(List.of("a"))).hasMessageContaining("at least two classes, got [a]");
        assertThatThrownBy(() -> new LabelWords(List.of("a", "b"), List.of(List.of("x"), List.of("x"))))
                .hasMessageContaining("the word 'x' stands for two classes");
        assertThatThrownBy(() -> new LabelWords(List.of("a", "b"), List.of(List.of("x"), List.of())))
                .hasMessageContaining("class 'b' needs words");
        assertThatThrownBy(() -> WORDS.index("none")).hasMessageContaining("'none' is no class; there are [good, bad, so-so]");
        assertThatThrownBy(() -> DecoderTuning.fit(WORDS, EMPTY, readings(new int[] {0, 1}, 1, 1), new int[] {0, 1}, Settings.DEFAULT))
                .hasMessageContaining("class 'so-so' has no record to learn from");
        assertThatThrownBy(() -> new Settings(128, 1, 0, 30, 1)).hasMessageContaining("the learning rate must be above 0");
    }
}
