package dev.graft.peft.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.graft.models.io.Json;
import dev.graft.models.io.JsonObject;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// Sets that papers ask in ways of their own, asked of a tiny model that knows nothing: what is right is judged elsewhere.
class ProtocolEvalTest extends CommandTest {
    @TempDir
    static Path shared;
    private static Path tiny;
    private static Path expert;

    @TempDir
    Path folder;

    @BeforeAll
    static void makeModels() throws IOException {
        tiny = TinyModel.model(shared.resolve("tiny"));
        expert = TinyModel.model(shared.resolve("expert"), 16, 9);
    }

    @BeforeEach
    void makeData() throws IOException {
        put("gsm8k/test.jsonl", """
                {"question": "1 and 2?", "answer": "#### 3"}
                {"question": "How many apples are 3 apples?", "answer": "#### 3"}
                {"question": "And 3?", "answer": "#### 1,003"}
                """);
        put("triviaqa/dev.jsonl", """
                {"question": "Who?", "answers": ["Ann"]}
                {"question": "Where is it?", "answers": ["Rome"]}
                """);
        put("truthfulqa/TruthfulQA.csv", "Question,Best Answer,Incorrect Answers\nIs it?,No,Yes; Maybe\n");
    }

    private void put(String name, String text) throws IOException {
        Path file = folder.resolve("data").resolve(name);
        Files.createDirectories(file.getParent());
        Files.writeString(file, text);
    }

    private int eval(String output, Object... more) {
        return graft(join(new Object[] {"eval", "--model", tiny, "--output", folder.resolve(output)}, more));
    }

    private int ask(String output, String tasks, Object... more) {
        return eval(output,
                Stream.concat(Stream.of("--task", tasks, "--data-root", folder.resolve("data"), "--max-new-tokens", 6), Stream.of(more))
                        .toArray());
    }

    @Test
    void setsAreAskedInTheirOwnWayAndNamedByFamily() throws IOException {
        assertThat(ask("out", "proxy/gsm8k,proxy/triviaqa, proxy/truthfulqa")).as(err.toString()).isZero();
        assertThat(out.toString()).containsPattern("proxy/gsm8k: 3 questions, accuracy [0-9.]+")
                .containsPattern("proxy/truthfulqa: 1 questions, accuracy [01](\\.\\d+)?, invalid [01]");
        JsonObject summary = Json.read(folder.resolve("out/proxy-gsm8k.summary.json"));
        assertThat(summary.requireString("task")).isEqualTo("proxy/gsm8k");
        assertThat(summary.requireString("metric")).isEqualTo("accuracy");
        assertThat(summary.requireInt("count")).isEqualTo(3);
        assertThat(summary.requireObject("data").requireString("file")).isEqualTo("gsm8k/test.jsonl");
        assertThat(summary.requireObject("config").requireInt("max_new_tokens")).isEqualTo(6);
        assertThat(summary.requireObject("config").requireStrings("stop_strings")).contains("Question:");
        assertThat(Files.readString(folder.resolve("out/proxy-gsm8k.json"))).contains("Answer the following question.",
                "\"answers\":[\"1003\"]");
        assertThat(Files.readString(folder.resolve("out/proxy-gsm8k.items.jsonl"))).doesNotContain("pred", "question").contains("\"flag\"");
        assertThat(Files.readAllLines(folder.resolve("out/proxy-triviaqa.jsonl"))).hasSize(3);
    }

    @Test
    void anInterruptedRunGoesOn() throws IOException {
        assertThat(ask("whole", "proxy/gsm8k", "--batch-size", 1)).as(err.toString()).isZero();
        List<String> lines = Files.readAllLines(folder.resolve("whole/proxy-gsm8k.jsonl"));
        Files.createDirectory(folder.resolve("cut"));
        Files.write(folder.resolve("cut/proxy-gsm8k.jsonl"), lines.subList(0, 2));
        assertThat(ask("cut", "proxy/gsm8k", "--batch-size", 1)).isEqualTo(1);
        assertThat(err.toString()).contains("proxy-gsm8k.jsonl is there already");
        assertThat(ask("cut", "proxy/gsm8k", "--batch-size", 1, "--resume")).as(err.toString()).isZero();
        for (String suffix : List.of(".jsonl", ".json", ".items.jsonl")) {
            assertThat(folder.resolve("cut/proxy-gsm8k" + suffix)).hasSameTextualContentAs(folder.resolve("whole/proxy-gsm8k" + suffix));
        }
        assertThat(ask("cut", "proxy/gsm8k", "--limit", 2, "--resume")).isEqualTo(1);
        assertThat(err.toString()).contains("data.first was 3 and is 2");
    }

    @Test
    void aChatModelReadsChatsAndAnExpertDoesSoAlone() throws IOException {
        assertThat(ask("plain", "proxy/gsm8k")).as(err.toString()).isZero();
        assertThat(ask("chat", "proxy/gsm8k", "--chat", "--system", "Be brief.")).as(err.toString()).isZero();
        assertThat(Json.read(folder.resolve("chat/proxy-gsm8k.summary.json")).requireString("system")).isEqualTo("Be brief.");
        assertThat(tokens("chat")).as("a longer prompt").isGreaterThan(tokens("plain"));
        Object[] small = {"--proxy-expert", expert, "--proxy-anti-expert", tiny, "--alpha", 300};
        assertThat(ask("steered", "proxy/gsm8k", small)).as(err.toString()).isZero();
        Object[] chat = {"--proxy-expert", expert, "--proxy-anti-expert", tiny, "--alpha", 300, "--proxy-chat"};
        assertThat(ask("expert", "proxy/gsm8k", chat)).as(err.toString()).isZero();
        assertThat(tokens("expert")).as("the base reads the plain prompt").isEqualTo(tokens("plain"));
        Object[] cue = {"--proxy-expert", expert, "--proxy-anti-expert", tiny, "--alpha", 300, "--proxy-chat", "--proxy-cue", "Answer:"};
        assertThat(ask("cue", "proxy/gsm8k", cue)).as(err.toString()).isZero();
        assertThat(text("cue")).as("the set's own cue was there already").isEqualTo(text("expert")).isNotEqualTo(text("steered"));
    }

    private int tokens(String output) {
        return Json.read(folder.resolve(output).resolve("proxy-gsm8k.summary.json")).requireObject("speed").requireInt("prompt_tokens");
    }

    private String text(String output) throws IOException {
        return Files.readString(folder.resolve(output).resolve("proxy-gsm8k.json"));
    }

    @Test
    void programsAreWrittenAndRunOnlyWhereThatIsAllowed() throws IOException {
        put("humaneval/HumanEval.jsonl", """
                {"task_id": "T/0", "prompt": "def add(a, b):\\n", "canonical_solution": "", "test": "def check(f): x", "entry_point": "add"}
                {"task_id": "T/1", "prompt": "def two():\\n", "canonical_solution": "", "test": "def check(f): x", "entry_point": "two"}
                """);
        Path mark = folder.resolve("was-run");
        Path interpreter = Files.writeString(folder.resolve("interpreter"), "#!/bin/sh\necho run >> %s\n".formatted(mark));
        assertThat(interpreter.toFile().setExecutable(true)).isTrue();
        assertThat(ask("code", "proxy/humaneval", "--samples", 3, "--batch-size", 2)).as(err.toString()).isZero();
        assertThat(out.toString()).contains("proxy/humaneval: 2 questions, not judged: nothing was run", "--allow-running-generated-code");
        assertThat(Files.readAllLines(folder.resolve("code/proxy-humaneval.samples.jsonl"))).hasSize(6).doesNotHaveDuplicates();
        assertThat(Json.read(folder.resolve("code/proxy-humaneval.summary.json")).has("metric")).isFalse();
        assertThat(mark).doesNotExist();
        String journal = Files.readString(folder.resolve("code/proxy-humaneval.jsonl"));
        assertThat(ask("code", "proxy/humaneval", "--samples", 3, "--pass-at", "2,1", "--resume", "--allow-running-generated-code",
                "--interpreter",
                interpreter)).as(err.toString()).isZero();
        assertThat(folder.resolve("code/proxy-humaneval.jsonl")).as("no text was made again").hasContent(journal);
        assertThat(Files.readAllLines(mark)).hasSize(6);
        JsonObject summary = Json.read(folder.resolve("code/proxy-humaneval.summary.json"));
        assertThat(summary.requireString("metric")).isEqualTo("pass_at_2");
        assertThat(summary.requireDouble("pass_at_1")).isEqualTo(1);
        assertThat(ask("other", "proxy/humaneval", "--samples", 3, "--batch-size", 5)).as(err.toString()).isZero();
        assertThat(Files.readString(folder.resolve("other/proxy-humaneval.items.jsonl"))).as("draws do not depend on batches")
                .isEqualTo(Files.readString(folder.resolve("code/proxy-humaneval.items.jsonl")).replace("true", "false"));
        misused("go with --task proxy/humaneval", "AddSub", "--samples", 3);
        misused("--pass-at must be from 1 to --samples (3), got [4]", "proxy/humaneval", "--samples", 3, "--pass-at", 4);
        misused("that takes --allow-running-generated-code", "proxy/humaneval", "--interpreter", "python3");
    }

    @Test
    void textsAreJudgedByACommandOfTheUsers() throws IOException {
        put("toxigen/hate_a_1k.txt", "- one apple\\\\n-\n- two\n");
        put("toxigen/hate_b_1k.txt", "- three\n");
        put("classify", "while read -r line; do echo 1; done\n");
        assertThat(ask("out", "proxy/toxigen")).as(err.toString()).isZero();
        assertThat(out.toString()).contains("proxy/toxigen: 3 questions, not judged: no classifier was asked");
        assertThat(ask("out", "proxy/toxigen", "--resume", "--toxicity-command", "sh " + folder.resolve("data/classify")))
                .as(err.toString()).isZero();
        JsonObject summary = Json.read(folder.resolve("out/proxy-toxigen.summary.json"));
        assertThat(summary.requireString("metric")).isEqualTo("toxic");
        assertThat(summary.requireDouble("toxic_b")).isEqualTo(1);
        assertThat(summary.requireObject("judged_by").requireString("classifier")).isEqualTo("sh classify");
        assertThat(summary.requireObject("data").requireObject("sha256").keys()).containsExactly("hate_a_1k.txt", "hate_b_1k.txt");
        misused("give either --toxicity-command or --toxicity-url", "proxy/toxigen", "--toxicity-command", "x", "--toxicity-url",
                "http://localhost:1");
        misused("go with --task proxy/toxigen", "AddSub", "--toxicity-command", "x");
    }

    @Test
    void pedrosSetsAreSearchedByBeams() throws IOException {
        put("RTE/dev.tsv", "index\tsentence1\tsentence2\tlabel\n0\ta\tb\tentailment\n1\tc\td\tnot_entailment\n2\te\tf\tentailment\n");
        put("SQuAD/dev-v1.1.json",
                "{\"data\": [{\"paragraphs\": [{\"context\": \"It is.\", \"qas\": [{\"question\": \"Is it?\", \"answers\": [{\"text\": \"is\"}]}]}]}]}");
        put("e2e/devset.csv", "mr,ref\nname[A],A is\n");
        assertThat(ask("out", "pedro/rte,pedro/squad,pedro/e2e")).as(err.toString()).isZero();
        assertThat(out.toString()).contains("pedro/rte: 2 questions, accuracy", "pedro/squad: 1 questions, f1_em",
                "pedro/e2e: 1 questions, bleu");
        JsonObject summary = Json.read(folder.resolve("out/pedro-rte.summary.json"));
        assertThat(summary.requireObject("config").requireInt("num_beams")).isEqualTo(3);
        assertThat(summary.requireInt("count")).as("half of dev, the larger").isEqualTo(2);
    }

    @Test
    void theGapBetweenFoldersIsComputed() throws IOException {
        for (String name : List.of("base", "steered", "tuned")) assertThat(ask(name, "proxy/gsm8k")).as(err.toString()).isZero();
        assertThat(gap()).isEqualTo(1);
        assertThat(err.toString()).contains("there is no gap to close");
        for (String name : List.of("steered", "tuned")) {
            Path file = folder.resolve(name).resolve("proxy-gsm8k.summary.json");
            String accuracy = Files.readString(file).lines().filter(line -> line.contains("\"accuracy\":")).findFirst().orElseThrow();
            Files.writeString(file, Files.readString(file).replace(accuracy, "\"accuracy\": " + (name.equals("tuned") ? "5" : "2") + ","));
        }
        assertThat(gap()).as(err.toString()).isZero();
        assertThat(out.toString()).containsPattern("proxy/gsm8k +accuracy +0\\.0000 +2\\.0000 +5\\.0000 +40\\.0 %");
    }

    private int gap() {
        return graft("gap", "--base", folder.resolve("base"), "--proxy", folder.resolve("steered"), "--tuned", folder.resolve("tuned"));
    }

    @Test
    void oneSetMayBeGivenByItsFile() {
        assertThat(eval("out", "--task", "proxy/triviaqa", "--data", folder.resolve("data/triviaqa/dev.jsonl"), "--max-new-tokens", 3))
                .as(err.toString()).isZero();
        assertThat(Json.read(folder.resolve("out/proxy-triviaqa.summary.json")).requireObject("data").requireString("file"))
                .isEqualTo("dev.jsonl");
    }

    @Test
    void whatDoesNotGoTogetherIsAUsageError() {
        misused("there is no set 'proxy/gsm'; there are proxy/gsm8k", "proxy/gsm");
        misused("[proxy/gsm8k] take runs of their own", "proxy/gsm8k,AddSub");
        misused("says itself what --beams would", "proxy/gsm8k", "--beams", 4);
        misused("says itself what --template would", "proxy/gsm8k", "--template", "short");
        misused("--system goes with --chat", "proxy/gsm8k", "--system", "x");
        misused("--chat and --system go with sets", "AddSub", "--chat");
        misused("--limit must be above 0, got 0", "proxy/gsm8k", "--limit", 0);
        assertThat(eval("out", "--task", "proxy/gsm8k")).isEqualTo(2);
        assertThat(err.toString()).contains("give --data-root");
        assertThat(ask("out", "proxy/gsm8k", "--merge")).isEqualTo(2);
        assertThat(eval("out", "--task", "proxy/gsm8k", "--data-root", folder.resolve("nowhere"))).isEqualTo(1);
        assertThat(err.toString()).contains("there is no test set proxy/gsm8k", folder.resolve("nowhere/gsm8k/test.jsonl").toString());
    }

    private void misused(String message, String tasks, Object... more) {
        assertThat(ask("out", tasks, more)).isEqualTo(2);
        assertThat(err.toString()).contains(message);
    }
}
