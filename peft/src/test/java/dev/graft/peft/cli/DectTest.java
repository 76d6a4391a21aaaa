package dev.graft.peft.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.graft.models.CausalLm;
import dev.graft.models.Inputs;
import dev.graft.models.ModelLoader;
import dev.graft.models.io.Json;
import dev.graft.models.io.JsonObject;
import dev.graft.models.text.Tokenizer;
import dev.graft.peft.Peft;
import dev.graft.peft.dect.LabelWords;
import dev.graft.peft.dect.Query;
import dev.graft.peft.dect.Reading;
import dev.graft.peft.eval.Item;
import dev.graft.peft.eval.PromptTemplate;
import dev.graft.peft.method.Pedro;
import dev.graft.tensor.DType;
import dev.graft.tensor.Scope;
import dev.graft.tensor.Tensor;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// `graft dect`, and the queries that it makes.
class DectTest extends CommandTest {
    @TempDir
    static Path shared;
    private static Path model;
    private static Path root;

    @TempDir
    Path folder;

    @BeforeAll
    static void make() throws IOException {
        model = TinyModel.model(shared.resolve("model"), 32, 5);
        root = shared.resolve("data");
        Files.createDirectories(root.resolve("boolq"));
        Files.write(root.resolve("boolq/train.json"), records(40, 1));
        Files.write(root.resolve("boolq/test.json"), records(30, 2));
    }

    /// Texts full of books, to which the answer is true, or of apples.
    private static List<String> records(int many, long seed) {
        Random random = new Random(seed);
        List<String> lines = new ArrayList<>();
        for (int i = 0; i < many; i++) {
            boolean yes = random.nextBoolean();
            String fruit = yes ? "books" : "apples";                        // by luck, the model would say the opposite
            String text = fruit + " and " + random.nextInt(10) + " " + fruit + " and " + fruit;
            lines.add(Json.line(Map.of("instruction", text, "answer", String.valueOf(yes))));
        }
        return List.of("[" + String.join(",", lines) + "]");
    }

    // ---- queries ----

    @Test
    void aReadingIsWhatTheModelSaysOfThatTextAlone() {
        List<Item> items = List.of(new Item("Ann has 3 apples", "", "", ""), new Item("Ben", "", "", ""),
                new Item("How many apples does Ann have if Ben has 4?", "", "", ""));
        LabelWords words = LabelWords.of(List.of("apples1", "apples2", "apples 77"));
        try (Tokenizer tokenizer = Tokenizer.load(model); CausalLm lm = ModelLoader.load(model)) {
            List<Reading> found = new Query(lm, tokenizer, PromptTemplate.SHORT, "Ann has ", words, 3).ask(items);
            for (int i = 0; i < items.size(); i++) {
                String begun = PromptTemplate.SHORT.evaluation(items.get(i)) + "Ann has ";
                int[][] whole = words.all().stream().map(word -> tokenizer.encode(begun + word)).toArray(int[][]::new);
                int same = Math.min(Arrays.mismatch(whole[0], whole[1]), Arrays.mismatch(whole[0], whole[2]));
                assertThat(same).as("what the words share is read, too").isGreaterThan(tokenizer.encode(begun.strip()).length);
                try (var _ = Scope.open()) {
                    var hidden = lm.hidden(Inputs.of(new int[][] {Arrays.copyOf(whole[0], same)}), null);
                    float[] last = hidden.slice(1, same - 1, same).toFloats();
                    float[] logits = lm.head().forward(hidden.slice(1, same - 1, same)).toFloats();
                    double[] e = Arrays.stream(whole).mapToDouble(ids -> Math.exp(logits[ids[same]])).toArray();
                    for (int c = 0; c < last.length; c++) assertThat(found.get(i).hidden()[c]).isCloseTo(last[c], within(1e-4f));
                    for (int w = 0; w < e.length; w++)
                        assertThat((double) found.get(i).words()[w]).isCloseTo(e[w] / Arrays.stream(e).sum(), within(1e-5));
                }
            }
            assertThatThrownBy(() -> new Query(lm, tokenizer, PromptTemplate.SHORT, "", LabelWords.of(List.of("apple", "apples", "x")), 3)
                    .ask(items)).hasMessageContaining("one token does not tell the label words [apple, apples, x] apart");
        }
    }

    @Test
    void anAdapterFindsTheTemplateToBeThePrompt() {
        Item item = new Item("Ann has 3 apples", "", "", "");
        try (Tokenizer tokenizer = Tokenizer.load(model);
                CausalLm lm = ModelLoader.load(model);
                Peft peft = Peft.attach(lm, Pedro.DEFAULT.with("r", 3), 5)) {
            try (var _ = Scope.untracked()) {
                peft.parameters().forEach(p -> p.value().assign(Tensor.randn(DType.F32, p.shape(), 4)));
            }
            LabelWords words = LabelWords.of(List.of("true", "no"));
            Reading found = new Query(lm, tokenizer, PromptTemplate.SHORT, "Ann has ", words, 3).ask(List.of(item)).getFirst();
            String prompt = PromptTemplate.SHORT.evaluation(item);
            int[] one = tokenizer.encode(prompt + "Ann has true"), other = tokenizer.encode(prompt + "Ann has no");
            int same = Arrays.mismatch(one, other);
            try (var _ = Scope.open()) {
                int[][] ids = {Arrays.copyOf(one, same)};
                float[] expected = lm.hidden(Inputs.of(ids, null, new int[] {tokenizer.encode(prompt).length}), null)
                        .slice(1, same - 1, same)
                        .toFloats();
                float[] whole = lm.hidden(Inputs.of(ids), null).slice(1, same - 1, same).toFloats();
                assertThat(found.hidden()).containsExactly(expected, within(1e-5f)).isNotEqualTo(whole);
            }
        }
    }

    // ---- the command ----

    @Test
    void whatAFewExamplesTeachIsPrintedSavedAndUsedAgain() {
        Object[] ask = {"dect", "--model", model, "--task", "boolq", "--data-root", root, "--template", "short", "--cue", "",
                "--batch-size",
                1};
        Path head = folder.resolve("head");
        assertThat(graft(join(ask, "--shots", 8, "--output", head))).as(err.toString()).isZero();
        assertThat(out.toString()).contains("calibrated", "boolq", "30", "16", "wrote " + head);
        JsonObject results = Json.read(head.resolve("results.json"));
        assertThat(results.requireDouble("accuracy")).as(out.toString()).isGreaterThan(0.9)
                .isGreaterThan(results.requireDouble("calibrated_accuracy"));
        assertThat(results.requireInt("examples")).isEqualTo(16);
        assertThat(results.requireInt("epochs")).isEqualTo(30);
        assertThat(graft(join(ask, "--shots", 8, "--epochs", 0, "--lambda", 0.5, "--learning-rate", 0.1, "--output",
                folder.resolve("start")))).as(err.toString()).isZero();
        JsonObject start = Json.read(folder.resolve("start/results.json"));
        assertThat(start.requireDouble("lambda")).isEqualTo(0.5);
        assertThat(start.requireDouble("accuracy")).as("nothing learned").isLessThan(results.requireDouble("accuracy"));
        assertThat(graft(join(ask, "--head", head, "--output", folder.resolve("again")))).as(err.toString()).isZero();
        JsonObject again = Json.read(folder.resolve("again/results.json"));
        assertThat(again.requireDouble("accuracy")).isEqualTo(results.requireDouble("accuracy"));
        assertThat(graft("dect", "--model", model, "--data", root.resolve("boolq/test.json"), "--train", root.resolve("boolq/train.json"),
                "--alternatives", "true,false", "--words", "true=yes|true", "--words", "false=no", "--template", "short", "--cue", "",
                "--limit", 5)).as(err.toString()).isZero();
        assertThat(out.toString()).contains("test  ", "      5        32");
    }

    private void refused(int code, String message, Object... args) {
        assertThat(graft(join(new Object[] {"dect", "--model", model}, args))).isEqualTo(code);
        assertThat(err.toString()).contains(message).doesNotContain("\tat ");
    }

    @Test
    void mistakesAreToldByName() throws IOException {
        Path test = root.resolve("boolq/test.json");
        refused(2, "give either --task or --data");
        refused(2, "--task needs --data-root", "--task", "boolq");
        refused(2, "task gsm8k is answered by numbers", "--task", "gsm8k", "--data-root", root);
        refused(2, "there is no task 'bool'", "--task", "bool", "--data-root", root);
        refused(2, "--data needs --alternatives", "--data", test);
        refused(2, "--data needs --train", "--data", test, "--alternatives", "true,false");
        refused(2, "--words names 'yes', which is no class", "--data", test, "--train", test, "--alternatives", "true,false", "--words",
                "yes=y");
        refused(1, "the answer of record 0, '", "--data", test, "--train", test, "--alternatives", "yes,no");
        refused(1, "there must be at least one example of each class, got 0", "--task", "boolq", "--data-root", root, "--shots", 0);
        Files.createDirectories(folder.resolve("piqa"));
        Files.copy(test, folder.resolve("piqa/test.json"));
        refused(1, "the learning rate must be above 0 and lambda no less than 0, got 0.01 and -1.0", "--task", "boolq", "--data-root", root,
                "--lambda", -1);
        refused(2, "there is no train.json in " + folder.resolve("piqa"), "--task", "piqa", "--data-root", folder);
        refused(1, "dect.json: does not exist", "--task", "boolq", "--data-root", root, "--head", folder);
        Files.writeString(folder.resolve("dect.json"), "{}");
        refused(1, "holds a head already", "--task", "boolq", "--data-root", root, "--output", folder);
    }
}
