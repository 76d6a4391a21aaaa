package dev.graft.peft.eval;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.core.json.JsonReadFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import dev.graft.models.CausalLm;
import dev.graft.models.Golden;
import dev.graft.models.ModelLoader;
import dev.graft.models.generate.Session;
import dev.graft.models.generate.StepModel;
import dev.graft.peft.Peft;
import dev.graft.peft.method.Lora;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class EvaluatorTest {
    private static final EvalListener NOBODY = (_, _, _) -> {};
    private static final Task NUMERIC = Task.numeric("sums", 40, true);
    private static final EvalConfig CONFIG = EvalConfig.DEFAULT.withTemplate(PromptTemplate.SHORT);
    private static final List<Item> ITEMS = List.of(item("is it [1,234]", "1234.0"), item("so long a question [5]", "5"),
            item("[6]", "5.0"),
            item("no number", "7"), item("or [8] it is", "8"));

    @TempDir
    Path folder;

    private static Item item(String question, String answer) {
        return new Item(question, "", "", answer);
    }

    private static EvalResult evaluate(Task task, List<Item> items, EvalConfig config) {
        return Evaluator.evaluate(new Parrot(), new Letters(), task, items, config, NOBODY);
    }

    @Test
    void everyItemIsJudgedByWhatStandsBeforeTheNextHeading() {
        for (PromptTemplate template : PromptTemplate.values()) {
            EvalResult result = evaluate(NUMERIC, ITEMS, CONFIG.withTemplate(template));
            assertThat(result.responses()).extracting(Response::text).containsExactly("1,234", "5", "6", "none", "8");
            assertThat(result.responses()).extracting(r -> r.verdict().prediction()).containsExactly("1234.0", "5.0", "6.0", "Infinity",
                    "8.0");
            assertThat(result.correct()).isEqualTo(3);
            assertThat(result.accuracy()).isEqualTo(0.6);
            assertThat(result.unanswered()).isEqualTo(1);
        }
    }

    @Test
    void choicesAndLettersAreJudgedByTheirRules() {
        Task choice = Task.choice("truth", 40, List.of("true", "false"));
        List<Item> claims = List.of(item("[it is false]", "false"), item("[False]", "false"), item("[untrue]", "true"));
        assertThat(evaluate(choice, claims, CONFIG).responses()).extracting(r -> r.verdict().correct()).containsExactly(true, false, true);
        assertThat(evaluate(choice, claims, CONFIG).unanswered()).isEqualTo(1);
        Task letter = Task.letter("letters", 40, true);
        List<Item> letters = List.of(item("[Both, so C]", "C"));
        assertThat(evaluate(letter, letters, CONFIG).correct()).isZero();
        assertThat(evaluate(letter, letters, CONFIG.withLetterRule(Answers.LetterRule.LAST)).correct()).isOne();
    }

    @Test
    void specialTokensStayInTheTextWhereTheTaskKeepsThem() {
        List<Item> one = List.of(item("[5]", "5"));
        Task kept = Task.numeric("kept", 40, true);
        Task cut = Task.numeric("cut", 40, false);
        Silent model = new Silent();
        assertThat(Evaluator.evaluate(model, new Letters(), kept, one, CONFIG, NOBODY).responses().getFirst().text()).isEqualTo("<end>");
        assertThat(Evaluator.evaluate(model, new Letters(), cut, one, CONFIG, NOBODY).responses().getFirst().text()).isEmpty();
    }

    /// Ends at once.
    private static final class Silent implements StepModel {
        @Override
        public Session open(List<int[]> prompts, int maxNewTokens) {
            return new Session() {
                private int rows = prompts.size();

                @Override
                public float[][] logits() {
                    float[] scores = new float[96];
                    scores[Letters.END] = 20;
                    return IntStream.range(0, rows).mapToObj(_ -> scores.clone()).toArray(float[][]::new);
                }

                @Override
                public void advance(int[] ids) {
                }

                @Override
                public void reorder(int[] order) {
                    rows = order.length;
                }

                @Override
                public void close() {
                }
            };
        }
    }

    @Test
    void answersDoNotDependOnTheBatchSize() {
        List<Item> items = IntStream.range(0, 9).mapToObj(i -> item("word ".repeat(i * 4 % 9) + i, Integer.toString(i))).toList();
        Task task = Task.numeric("noise", 6, true);
        try (CausalLm model = ModelLoader.load(Golden.path("models/llama-gqa-tied"));
                Peft peft = Peft.attach(model, Lora.of(4, 8, "q_proj", "v_proj"))) {
            EvalResult alone = Evaluator.evaluate(model, new Letters(), task, items, CONFIG.withBatchSize(1), NOBODY);
            assertThat(alone.responses().stream().map(Response::text).distinct()).hasSizeGreaterThan(3);
            for (int size : List.of(2, 8)) {
                EvalResult together = Evaluator.evaluate(model, new Letters(), task, items, CONFIG.withBatchSize(size), NOBODY);
                assertThat(together.responses()).as("batches of %d", size).isEqualTo(alone.responses());
            }
            peft.merge();
            assertThat(Evaluator.evaluate(model, new Letters(), task, items, CONFIG, NOBODY).responses())
                    .as("a new LoRA changes nothing, merged or not")
                    .isEqualTo(alone.responses());
        }
    }

    @Test
    void theMajorityAnswerIsCountedByValue() {
        EvalResult result = evaluate(NUMERIC, ITEMS, CONFIG);
        assertThat(result.majority()).isEqualTo(new EvalResult.Majority("5.0", 0.4));
    }

    @Test
    void aGoldAnswerThatIsNoneIsNamedBeforeAnythingIsAsked() {
        Parrot parrot = new Parrot();
        List<Item> items = List.of(item("[1]", "1"), item("[2]", "two"));
        assertThatThrownBy(() -> Evaluator.evaluate(parrot, new Letters(), NUMERIC, items, CONFIG, NOBODY))
                .isInstanceOf(DataException.class)
                .hasMessageContaining("record 1").hasMessageContaining("'two'");
        assertThat(parrot.asked).isZero();
        assertThatThrownBy(() -> evaluate(NUMERIC, List.of(), CONFIG)).hasMessageContaining("no items");
    }

    @Test
    void anInterruptedRunAsksOnlyTheRest() throws Exception {
        EvalConfig pairs = CONFIG.withBatchSize(2);
        EvalResult whole = evaluate(NUMERIC, ITEMS, pairs);
        Map<String, Object> run = ResultFiles.run(NUMERIC, pairs, Map.of("model", "parrot"));
        Path file = folder.resolve("sums.jsonl");
        try (Journal journal = Journal.begin(file, run)) {
            EvalListener dies = (_, done, _) -> {
                if (done == 4) throw new IllegalStateException("killed");
            };
            assertThatThrownBy(() -> Evaluator.evaluate(new Parrot(), new Letters(), NUMERIC, ITEMS, pairs, journal.and(dies)))
                    .hasMessage("killed");
        }
        List<String> lines = Files.readAllLines(file);
        assertThat(lines).hasSize(5);
        Files.writeString(file, String.join("\n", lines.subList(0, 4)) + "\n" + lines.get(4).substring(0, 20));
        Parrot parrot = new Parrot();
        try (Journal journal = Journal.resume(file, run)) {
            assertThat(journal.earlier()).hasSize(3);
            EvalResult rest = Evaluator.evaluate(parrot, new Letters(), NUMERIC, ITEMS, pairs, journal, journal.earlier());
            assertThat(rest.responses()).isEqualTo(whole.responses());
        }
        assertThat(parrot.asked).isEqualTo(2);
        assertThat(Files.readAllLines(file)).hasSize(6);
        Map<String, Object> other = ResultFiles.run(NUMERIC, pairs.withNumBeams(1), Map.of("model", "parrot"));
        assertThatThrownBy(() -> Journal.resume(file, other)).isInstanceOf(DataException.class).hasMessageContaining("config was")
                .hasMessageContaining("\"num_beams\":1").hasMessageNotContaining("model was");
    }

    @Test
    void resultFilesHaveTheRecordsAndTheFigures() throws Exception {
        EvalResult result = evaluate(NUMERIC, ITEMS, CONFIG);
        ResultFiles.write(folder, result, ResultFiles.run(NUMERIC, CONFIG, Map.of("model", "parrot")));
        JsonMapper python = JsonMapper.builder().enable(JsonReadFeature.ALLOW_NON_NUMERIC_NUMBERS).build();
        JsonNode records = python.readTree(folder.resolve("sums.json").toFile());
        assertThat(records).hasSize(5);
        assertThat(records.get(0).properties()).extracting(Map.Entry::getKey).containsExactly("instruction", "input", "output", "answer",
                "output_pred", "pred", "flag");
        assertThat(records.get(0).get("pred").asDouble()).isEqualTo(1234);
        assertThat(records.get(3).get("pred").asDouble()).isInfinite();
        assertThat(records.get(3).get("flag").asBoolean()).isFalse();
        JsonNode summary = python.readTree(folder.resolve("sums.summary.json").toFile());
        assertThat(summary.get("accuracy").asDouble()).isEqualTo(0.6);
        assertThat(summary.get("count").asInt()).isEqualTo(5);
        assertThat(summary.get("correct").asInt()).isEqualTo(3);
        assertThat(summary.get("majority_baseline").asDouble()).isEqualTo(0.4);
        assertThat(summary.get("model").asText()).isEqualTo("parrot");
        assertThat(summary.get("config").toString()).isEqualTo("{\"template\":\"short\",\"num_beams\":4,\"length_penalty\":1.0,"
                + "\"length_norm\":\"generated\",\"do_sample\":false,\"max_new_tokens\":40}");
        long newTokens = result.responses().stream().mapToLong(Response::newTokens).sum();
        assertThat(summary.get("speed").get("new_tokens").asLong()).isEqualTo(newTokens).isEqualTo(result.newTokens());
    }
}
