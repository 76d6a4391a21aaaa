package dev.graft.peft.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.graft.models.CausalLm;
import dev.graft.models.ModelLoader;
import dev.graft.models.SharedFolder;
import dev.graft.models.io.Json;
import dev.graft.models.io.JsonObject;
import dev.graft.peft.Peft;
import dev.graft.peft.Targets;
import dev.graft.peft.method.Lora;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class EvalTest extends CommandTest {
    @TempDir
    static Path shared;
    private static Path tiny;
    private static Path problems;

    @TempDir
    Path folder;

    @BeforeAll
    static void makeModel() throws Exception {
        tiny = TinyModel.model(shared.resolve("tiny"));
        problems = TinyModel.records(shared.resolve("problems.jsonl"));
    }

    private int eval(Object... args) {
        return evalInto("out", args);
    }

    private int evalInto(String output, Object... args) {
        return graft(join(new Object[] {"eval", "--output", folder.resolve(output)}, args));
    }

    /// Twelve problems put to the tiny model, eight tokens each.
    private int ask(String output, Object... more) {
        Map<String, Object> usual = new LinkedHashMap<>(Map.of("--model", tiny, "--data", problems, "--kind", "numeric", "--beams", 2,
                "--max-new-tokens", 8, "--template", "short", "--limit", 12, "--batch-size", 5));
        usual.keySet().removeAll(List.of(more));
        return evalInto(output, Stream.concat(usual.entrySet().stream().flatMap(option -> Stream.of(option.getKey(), option.getValue())),
                Stream.of(more)).toArray());
    }

    private Path result(String output, String suffix) {
        return folder.resolve(output).resolve("problems" + suffix);
    }

    private JsonObject summary(String output) {
        return Json.read(result(output, ".summary.json"));
    }

    /// Not neutral, so that with it the model says something else.
    private Path adapter(String name, long seed) {
        Path saved = folder.resolve(name);
        Lora random = new Lora(4, 8, 0, Targets.of("q_proj", "up_proj"), "none", false, false, "false", Map.of(), Map.of(), false, false);
        try (CausalLm model = ModelLoader.load(tiny); Peft peft = Peft.attach(model, random, seed)) {
            peft.save(saved);
        }
        return saved;
    }

    @Test
    void aRealModelIsAskedAndItsResultsWritten() throws Exception {
        String model = SharedFolder.path("golden/stories260K").toString();
        Path data = Files.writeString(folder.resolve("mine.jsonl"), """
                {"instruction": "Is water wet?", "answer": "yes"}
                {"instruction": "Is fire cold?", "answer": "no"}
                {"instruction": "Is snow white?", "answer": "yes"}
                """);
        Object[] args = {"--model", model, "--data", data.toString(), "--kind", "choice", "--alternatives", "yes,no", "--beams", "2",
                "--max-new-tokens", "3", "--template", "short", "--limit", "2"};
        assertThat(eval(args)).as(err.toString()).isZero();
        assertThat(out.toString()).containsPattern("mine +0\\.0% +50\\.0% +2 +2 ");
        assertThat(folder.resolve("out/mine.json")).content().contains("Is water wet?").doesNotContain("snow");
        assertThat(folder.resolve("out/mine.summary.json")).content().contains("\"majority_baseline\": 0.5", "\"records\": 3",
                "\"adapter\": null", "\"max_new_tokens\": 3");
        assertThat(Files.readAllLines(folder.resolve("out/mine.jsonl"))).hasSize(3);
    }

    @Test
    void anAdapterAnswersAndItsMergeAnswersTheSame() throws Exception {
        Path adapter = adapter("lora", 3);
        assertThat(ask("bare")).as(err.toString()).isZero();
        assertThat(ask("with", "--adapter", adapter)).as(err.toString()).isZero();
        assertThat(ask("merged", "--adapter", adapter, "--merge")).as(err.toString()).isZero();
        assertThat(out.toString()).contains("merged into 4 tensors");
        assertThat(Files.readString(result("with", ".json"))).isNotEqualTo(Files.readString(result("bare", ".json")));
        assertThat(Files.readString(result("merged", ".json"))).isEqualTo(Files.readString(result("with", ".json")));
        JsonObject used = summary("merged").requireObject("adapter");
        assertThat(used.requireString("peft_type")).isEqualTo("LORA");
        assertThat(used.requireInt("parameters")).isEqualTo(2 * (4 * (16 + 16) + 4 * (16 + 24)));
        assertThat(used.requireBoolean("merged")).isTrue();
        assertThat(used.requireObject("config").requireDouble("lora_alpha")).isEqualTo(8);
        assertThat(used.has("training_seed")).as("nobody trained it").isFalse();
        assertThat(summary("with").requireObject("adapter").requireBoolean("merged")).isFalse();
    }

    @Test
    void aResultSaysWhatItDependsOnAndNothingOfWhereThatLies() throws Exception {
        Path adapter = adapter("lora", 3);
        Files.writeString(adapter.resolve("training.json"), "{\"settings\": {\"seed\": 17}}");
        assertThat(ask("out", "--adapter", adapter, "--seed", 5)).as(err.toString()).isZero();
        for (String suffix : List.of(".summary.json", ".jsonl", ".items.jsonl", ".json")) {
            assertThat(Files.readString(result("out", suffix))).doesNotContain(shared.toString()).doesNotContain(folder.toString());
        }
        JsonObject summary = summary("out");
        assertThat(summary.requireLong("seed")).isEqualTo(5);
        JsonObject data = summary.requireObject("data");
        assertThat(data.requireString("file")).isEqualTo("problems.jsonl");
        assertThat(data.requireString("sha256")).isEqualTo(sha256(problems));
        assertThat(data.requireInt("records")).isEqualTo(40);
        assertThat(data.requireInt("first")).isEqualTo(12);
        JsonObject model = summary.requireObject("model");
        assertThat(model.requireString("folder")).isEqualTo("tiny");
        assertThat(model.requireString("weights")).isEqualTo("stored");
        assertThat(model.requireInt("max_position_embeddings")).isEqualTo(128);
        JsonObject files = model.requireObject("sha256");
        assertThat(files.keys()).containsExactly("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json");
        for (String name : files.keys()) assertThat(files.requireString(name)).as(name).isEqualTo(sha256(tiny.resolve(name)));
        JsonObject used = summary.requireObject("adapter");
        assertThat(used.requireString("folder")).isEqualTo("lora");
        assertThat(used.requireLong("training_seed")).isEqualTo(17);
        assertThat(used.requireObject("sha256").toMap())
                .isEqualTo(Map.of("adapter_model.safetensors", sha256(adapter.resolve("adapter_model.safetensors"))));
    }

    @Test
    void publishedSetsAreNamedByTheirPlaceInTheDataFolderAndAveraged() throws Exception {
        Path data = folder.resolve("dataset");
        Files.writeString(Files.createDirectories(data.resolve("AddSub")).resolve("test.json"),
                "[{\"instruction\": \"1 and 2?\", \"answer\": \"3\"}]");
        Files.writeString(Files.createDirectories(data.resolve("boolq")).resolve("test.jsonl"), """
                {"instruction": "Is it?", "answer": "true"}
                {"instruction": "Is it not?", "answer": "false"}
                """);
        assertThat(eval("--model", tiny, "--task", "addsub,BoolQ,addsub", "--data-root", data, "--template", "short", "--max-new-tokens", 2,
                "--limit", 9)).as(err.toString()).isZero();
        assertThat(out.toString()).containsPattern("AddSub +[0-9.]+% +100\\.0% +[01] +1 ")
                .containsPattern("boolq +[0-9.]+% +50\\.0% +[0-2] +2 ")
                .containsPattern("average +[0-9.]+% +75\\.0%");
        JsonObject summary = Json.read(folder.resolve("out/AddSub.summary.json"));
        assertThat(summary.requireObject("data").requireString("file")).isEqualTo("AddSub/test.json");
        assertThat(summary.requireObject("data").requireInt("first")).as("there are no more").isEqualTo(1);
        assertThat(summary.requireLong("seed")).isZero();
        assertThat(summary.requireObject("config").requireInt("num_beams")).isEqualTo(4);
        assertThat(Json.read(folder.resolve("out/boolq.summary.json")).requireObject("data").requireString("file"))
                .isEqualTo("boolq/test.jsonl");
    }

    @Test
    void anInterruptedEvaluationGoesOnAndEndsAsIfItHadNotBeen() throws Exception {
        assertThat(ask("whole")).as(err.toString()).isZero();
        String journal = Files.readString(result("whole", ".jsonl"));
        List<String> lines = journal.lines().toList();
        assertThat(lines).hasSize(13);
        Files.createDirectory(folder.resolve("cut"));
        int torn = journal.indexOf(lines.get(8)) + 20;                                  // within the second batch
        Files.writeString(result("cut", ".jsonl"), journal.substring(0, torn));
        assertThat(ask("cut", "--resume")).as(err.toString()).isZero();
        for (String suffix : List.of(".jsonl", ".json", ".items.jsonl")) {
            assertThat(result("cut", suffix)).hasSameTextualContentAs(result("whole", suffix));
        }
        assertThat(summary("cut").requireObject("speed").requireInt("new_tokens_this_run"))
                .isLessThan(summary("whole").requireObject("speed").requireInt("new_tokens_this_run"));
        assertThat(ask("cut", "--resume")).as("nothing left to do").isZero();
        assertThat(summary("cut").requireDouble("accuracy")).isEqualTo(summary("whole").requireDouble("accuracy"));
    }

    @Test
    void anEvaluationIsNotContinuedAsAnother() throws Exception {
        Path adapter = adapter("lora", 3);
        assertThat(ask("out", "--adapter", adapter)).as(err.toString()).isZero();
        String before = Files.readString(result("out", ".json"));
        refused("config.num_beams was 2 and is 3", "--adapter", adapter, "--beams", 3);
        refused("data.first was 12 and is 11", "--adapter", adapter, "--limit", 11);
        refused("model.weights was \"stored\" and is \"bf16\"", "--adapter", adapter, "--weights", "bf16");
        refused("seed was 0 and is 1", "--adapter", adapter, "--seed", 1);
        assertThat(ask("out", "--resume")).isEqualTo(1);
        assertThat(err.toString()).contains("adapter was {", "and is nothing");
        adapter("lora", 4);
        refused("adapter.sha256.adapter_model.safetensors was", "--adapter", adapter);
        assertThat(result("out", ".json")).hasContent(before);
    }

    private void refused(String message, Object... more) {
        assertThat(ask("out", Stream.concat(Stream.of("--resume"), Stream.of(more)).toArray())).isEqualTo(1);
        assertThat(err.toString()).contains("problems.jsonl is of another run", message);
    }

    @Test
    void resultsAndDataAreNeverOverwritten() throws Exception {
        assertThat(ask("out")).as(err.toString()).isZero();
        String before = Files.readString(result("out", ".jsonl"));
        assertThat(ask("out")).isEqualTo(1);
        assertThat(err.toString()).contains("problems.jsonl is there already", "--resume");
        assertThat(result("out", ".jsonl")).hasContent(before);
        Path own = Files.createDirectory(folder.resolve("own"));
        for (String name : List.of("mine.json", "mine.jsonl")) {
            Path data = Files.writeString(own.resolve(name), "{\"instruction\": \"1?\", \"answer\": \"1\"}");
            for (String resume : List.of("--limit=1", "--resume")) {
                assertThat(evalInto("own", "--model", tiny, "--data", data, "--kind", "numeric", resume)).isEqualTo(1);
                assertThat(data).hasContent("{\"instruction\": \"1?\", \"answer\": \"1\"}");
            }
            Files.delete(data);
        }
        assertThat(own).isEmptyDirectory();
    }

    @Test
    void textsBeyondTheModelsPositionsAreTold() {
        assertThat(ask("out")).as(err.toString()).isZero();
        assertThat(out.toString()).doesNotContain("max_position_embeddings");
        assertThat(summary("out").requireInt("overlong")).isZero();
        assertThat(ask("long", "--template", "compat")).as(err.toString()).isZero();
        assertThat(summary("long").requireInt("overlong")).isEqualTo(12);
        assertThat(out.toString()).contains("problems: 12 texts", "longer than the 128 tokens the model was made for");
    }

    @Test
    void blanksBetweenAlternativesDoNotCount() throws Exception {
        Path data = Files.writeString(folder.resolve("mine.jsonl"), "{\"instruction\": \"Wet?\", \"answer\": \"no\"}");
        assertThat(eval("--model", tiny, "--data", data, "--kind", "choice", "--alternatives", "yes, no", "--max-new-tokens", 2))
                .as(err.toString()).isZero();
        assertThat(Json.read(folder.resolve("out/mine.summary.json")).requireStrings("alternatives")).containsExactly("yes", "no");
    }

    private static String sha256(Path file) throws Exception {
        return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(Files.readAllBytes(file)));
    }

    @Test
    void anUnknownTaskListsTheSixteen() {
        assertThat(eval("--model", "m", "--task", "AddSup", "--data-root", ".")).isEqualTo(2);
        assertThat(err.toString()).contains("no task 'AddSup'", "MultiArith", "openbookqa");
    }

    @Test
    void aMissingTestSetSaysWhereItWasLookedFor() {
        assertThat(eval("--model", "m", "--task", "AddSub", "--data-root", folder.toString())).isEqualTo(1);
        assertThat(err.toString()).contains(folder.resolve("AddSub/test.json").toString());
    }

    @Test
    void optionsThatDoNotGoTogetherAreUsageErrors() {
        misused("either --task or --data");
        misused("either --task or --data", "--task", "AddSub", "--data", "x.json");
        misused("--data-root", "--task", "AddSub");
        misused("a --task has its own", "--task", "AddSub", "--data-root", ".", "--kind", "numeric");
        misused("--data needs --kind", "--data", "x.json");
        misused("--alternatives", "--data", "x.json", "--kind", "choice");
        misused("--alternatives", "--data", "x.json", "--kind", "numeric", "--alternatives", "a,b");
        misused("--merge needs an --adapter", "--data", "x.json", "--kind", "numeric", "--merge");
        for (String option : List.of("--beams", "--batch-size", "--limit", "--max-new-tokens")) {
            misused(option + " must be above 0, got 0", "--data", "x.json", "--kind", "numeric", option, 0);
        }
    }

    private void misused(String message, Object... args) {
        assertThat(eval(Stream.concat(Stream.of("--model", "m"), Stream.of(args)).toArray())).isEqualTo(2);
        assertThat(err.toString()).contains(message);
    }
}
