package dev.graft.peft.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.graft.models.CausalLm;
import dev.graft.models.Inputs;
import dev.graft.models.ModelLoader;
import dev.graft.models.io.Json;
import dev.graft.models.io.JsonObject;
import dev.graft.models.text.Tokenizer;
import dev.graft.peft.Peft;
import dev.graft.peft.train.TrainConfig;
import dev.graft.tensor.Scope;
import dev.graft.tensor.Tensor;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.regex.Pattern;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// `tune`, and the commands for what it makes: `merge`, `inspect`, `methods`.
class TuneTest extends CommandTest {
    @TempDir
    static Path shared;
    private static Path model;
    private static Path data;

    @TempDir
    Path folder;

    @BeforeAll
    static void makeModel() throws IOException {
        model = TinyModel.model(shared.resolve("model"));
        data = TinyModel.records(shared.resolve("records.jsonl"));
    }

    private int tune(Object... args) {
        List<Object> all = new ArrayList<>(List.of("tune", "--model", model, "--data", data, "--output", folder.resolve("out"),
                "--template", "short", "--cutoff-len", 128));
        all.addAll(List.of(args));
        return graft(all.toArray());
    }

    private JsonObject training() {
        return Json.read(folder.resolve("out/training.json"));
    }

    private float[] logits(Path from, Path adapter) {
        try (var _ = Scope.open(); CausalLm lm = ModelLoader.load(from); Peft _ = adapter == null ? Peft.of(lm) : Peft.load(lm, adapter)) {
            return lm.logits(Inputs.of(new int[][] {{1, 5, 9, 200, 33, 7}}, null)).toFloats();
        }
    }

    @Test
    void anAdapterIsTrainedSavedReloadedAndMerged() {
        assertThat(tune("--method", "lora", "--r", 4, "--target-modules", "q_proj,down_proj", "--steps", 12, "--batch-size", 4,
                "--learning-rate", 0.02,
                "--validation-size", 6, "--evaluate-every", 5)).as(err.toString()).isZero();
        assertThat(out.toString()).contains("34 records to train on, 6 to validate on", "trainable params: 576 ",
                "finished after step 12; best validation loss");
        assertThat(training().requireDouble("loss")).isLessThan(5.9);
        assertThat(training().requireInt("trainable_parameters")).isEqualTo(576);
        assertThat(folder.resolve("out")).isDirectoryContaining("glob:**/loss.png").isDirectoryContaining("glob:**/metrics.jsonl")
                .isDirectoryContaining("glob:**/tensorboard").isDirectoryContaining("glob:**/checkpoint-12");
        JsonObject config = Json.read(folder.resolve("out/adapter_config.json"));
        assertThat(config.requireInt("r")).isEqualTo(4);
        assertThat(config.requireStrings("target_modules")).containsExactlyInAnyOrder("q_proj", "down_proj");

        assertThat(graft("merge", "--model", model, "--adapter", folder.resolve("out"), "--output", folder.resolve("merged")))
                .as(err.toString()).isZero();
        assertThat(out.toString()).contains("merged into 4 tensors", "wrote " + folder.resolve("merged"));
        float[] adapted = logits(model, folder.resolve("out"));
        assertThat(logits(folder.resolve("merged"), null)).containsExactly(adapted, org.assertj.core.api.Assertions.within(1e-5f));
        assertThat(adapted).isNotEqualTo(logits(model, null));
        assertThat(folder.resolve("merged/tokenizer.json")).hasSameBinaryContentAs(model.resolve("tokenizer.json"));
        assertThat(graft("merge", "--model", model, "--adapter", folder.resolve("out"), "--output", folder.resolve("merged"))).isEqualTo(2);
        assertThat(err.toString()).contains("holds a model already");
    }

    @Test
    void aWholeModelIsTrainedByForwardPassesAndGoneOnWith() {
        assertThat(tune("--full", "--optimizer", "mezo", "--learning-rate", 1e-4, "--steps", 6, "--batch-size", 4)).as(err.toString())
                .isZero();
        Path made = folder.resolve("out");
        assertThat(training().requireString("method")).isEqualTo("full");
        assertThat(made).isDirectoryContaining("glob:**/mezo.safetensors").isDirectoryContaining("glob:**/tokenizer.json");
        assertThat(logits(made, null)).isNotEqualTo(logits(model, null));
        assertThat(logits(made.resolve("checkpoint-6"), null)).isEqualTo(logits(made, null));

        assertThat(full("adam")).as(err.toString()).isZero();
        for (String optimizer : List.of("mezo", "adamw")) {
            assertThat(full("refused", "--weights", "BF16", "--optimizer", optimizer)).isEqualTo(2);
            assertThat(err.toString()).contains("--full with --optimizer " + optimizer
                    + " cannot train model.embed_tokens.weight, which is held as bf16; add --weights F32");
        }
        assertThat(full("refused", "--weights", "Q8", "--optimizer", "mezo")).isEqualTo(2);
        assertThat(err.toString()).contains("is held as q8; add --weights F32");
        assertThat(full("refused", "--r", 8)).isEqualTo(2);
        assertThat(err.toString()).contains("--r is of a new adapter, whose kind --method names; --full has none");
        assertThat(full("refused", "--optimizer", "mezo", "--recompute")).isEqualTo(2);
        assertThat(err.toString()).contains("--recompute must be off with mezo, which has no backward pass");
        assertThat(full("refused", "--optimizer", "mezo", "--structure-share", 0.3)).isEqualTo(2);
        assertThat(err.toString()).contains("--structure-share must be 0 with mezo");
        assertThat(full(model.toString())).isEqualTo(2);
        assertThat(err.toString()).contains("--output is the folder of --model");
    }

    private int full(String to, Object... args) {
        List<Object> all = new ArrayList<>(List.of("tune", "--model", model, "--data", data, "--output", folder.resolve(to), "--full"));
        all.addAll(List.of("--template", "short", "--cutoff-len", 128, "--steps", 2, "--batch-size", 4));
        all.addAll(List.of(args));
        return graft(all.toArray());
    }

    @Test
    void recordsMaySayWhatSingleTokensCount() throws IOException {
        List<String> lines = new ArrayList<>(Files.readAllLines(data).subList(0, 6));
        lines.add(Json.line(Map.of("instruction", "How many roses?", "output", "There are 6.", "original", "There are 7 or so.")));
        Path edited = Files.write(folder.resolve("edited.jsonl"), lines);
        assertThat(graft("tune", "--model", model, "--data", edited, "--output", folder.resolve("out"), "--method", "lora", "--steps", 2,
                "--batch-size", 4, "--inserted-weight", 2, "--removed-weight", 0.5, "--template", "short", "--cutoff-len", 128))
                .as(err.toString()).isZero();
        assertThat(out.toString()).contains("8 records to train on");
        Files.writeString(edited, "{\"instruction\": \"a\", \"output\": \"There are 6.\", \"weights\": [1, 2]}");
        assertThat(graft("tune", "--model", model, "--data", edited, "--output", folder.resolve("out2"), "--method", "lora", "--cutoff-len",
                128)).isEqualTo(1);
        assertThat(err.toString()).contains("\" has 2 weights, and its output");
    }

    /// Trained on NF4, merged in three ways: into the model that was quantised, into what it was quantised to, and quantised again.
    @Test
    void anAdapterOnAnNf4BaseIsMergedAndWritten() {
        assertThat(tune("--weights", "NF4", "--method", "lora", "--r", 4, "--steps", 4, "--batch-size", 4, "--learning-rate", 0.02))
                .as(err.toString()).isZero();
        Path adapter = folder.resolve("out");
        assertThat(merge("wide", adapter, "--weights", "NF4")).as(err.toString()).isZero();
        try (CausalLm wide = ModelLoader.load(folder.resolve("wide"))) {
            assertThat(wide.parameters().map(p -> p.weight().format())).containsOnly("f32");
        }
        assertThat(merge("again", adapter, "--weights", "NF4", "--requantise")).as(err.toString()).isZero();
        assertThat(out.toString()).contains("merged into 4 tensors").containsPattern("rounding error 0\\.\\d*[1-9]");
        try (CausalLm again = ModelLoader.load(folder.resolve("again"))) {
            assertThat(again.modules(dev.graft.nn.Linear.class).filter(l -> l != again.head()).map(l -> l.weight().weight().format()))
                    .containsOnly("nf4");
        }
        float[] wide = logits(folder.resolve("wide"), null), again = logits(folder.resolve("again"), null);
        assertThat(again).isNotEqualTo(wide);
        assertThat(merge("onto", folder.resolve("again"), adapter, "--requantise")).as("NF4 as stored").isZero();

        assertThat(merge("x", adapter, "--requantise")).isEqualTo(2);
        assertThat(err.toString()).contains("--requantise is for weights held as NF4").contains("not unquantised ones");
        assertThat(merge("x", adapter, "--requantise", "--weights", "Q8")).isEqualTo(2);
        assertThat(err.toString()).contains("not q8");
        assertThat(merge("x", adapter, "--requantise", "--weights", "NF4", "--dtype", "BF16")).isEqualTo(2);
        assertThat(err.toString()).contains("leave --dtype out");
        assertThat(merge("int8", adapter, "--weights", "Q8")).as(err.toString()).isZero();
    }

    private int merge(String to, Path adapter, Object... more) {
        return merge(to, model, adapter, more);
    }

    private int merge(String to, Path from, Path adapter, Object... more) {
        List<Object> all = new ArrayList<>(List.of("merge", "--model", from, "--adapter", adapter, "--output", folder.resolve(to)));
        all.addAll(List.of(more));
        return graft(all.toArray());
    }

    @Test
    void aPromptStartsFromATextThatTheModelsTokenizerReads() {
        assertThat(tune("--method", "prompt", "--prompt-tuning-init", "TEXT", "--prompt-tuning-init-text", "How many are there?",
                "--num-virtual-tokens", 6, "--steps", 1, "--batch-size", 2, "--learning-rate", 1e-9)).as(err.toString()).isZero();
        JsonObject config = Json.read(folder.resolve("out/adapter_config.json"));
        assertThat(config.requireString("tokenizer_name_or_path")).isEqualTo(model.toString());
        assertThat(config.requireInt("token_dim")).isEqualTo(16);
        try (var _ = Scope.open();
                CausalLm lm = ModelLoader.load(model);
                Peft peft = Peft.load(lm, folder.resolve("out"));
                Tokenizer tokenizer = Tokenizer.load(model)) {
            int[] text = tokenizer.encode("How many are there?"), ids = new int[6];
            for (int i = 0; i < 6; i++) ids[i] = text[i % text.length];
            assertThat(peft.parameters().getFirst().value().toFloats()).containsExactly(
                    lm.embedding().weight().value().gather(Tensor.of(ids, 6)).toFloats(), org.assertj.core.api.Assertions.within(1e-6f));
        }
    }

    @Test
    void fieldsNamedLikeSettingsHaveOptionsOfTheirOwn() {
        assertThat(tune("--method", "adalora", "--adapter-beta1", 0.5, "--beta1", 0.8, "--target-r", 3, "--steps", 3, "--batch-size", 2,
                "--loraplus-lr-ratio", 16)).as(err.toString()).isZero();
        assertThat(Json.read(folder.resolve("out/adapter_config.json")).toMap()).containsEntry("beta1", 0.5).containsEntry("total_step", 3)
                .containsKey("rank_pattern");
        assertThat(training().requireObject("settings").toMap()).containsEntry("beta1", 0.8).containsEntry("loraplus_lr_ratio", 16.0);
        assertThat(graft("methods", "adalora")).isZero();
        assertThat(out.toString()).contains("--adapter-beta1 ", "--deltaT ");
    }

    @Test
    void everyMethodTrains() {
        Map<String, String> sizes = Map.of("fourierft", "--n-frequency=50", "oft", "--oft-block-size=8", "road", "--group-size=4", "bitfit",
                "--add-bias", "compacter",
                "--reduction-factor=2", "compacter++", "--reduction-factor=2"); // whose defaults are too large for the model, which has no biases
        for (var method : dev.graft.peft.Adapters.ALL) {
            assertThat(graft("tune", "--model", model, "--data", data, "--output", folder.resolve(method.name()), "--template", "short",
                    "--cutoff-len", 128, "--method",
                    method.name(), "--steps", 2, "--batch-size", 2, sizes.getOrDefault(method.name(), "--seed=1"))).as(method.name() + err)
                    .isZero();
            assertThat(logits(model, folder.resolve(method.name()))).hasSize(6 * 300);
        }
    }

    @Test
    void optionsThatMakeSenseOnlyTogetherAreTakenTogether() {
        assertThat(tune("--method", "oft", "--r", 4, "--oft-block-size", 0, "--steps", 1, "--batch-size", 2)).as(err.toString()).isZero();
        assertThat(Json.read(folder.resolve("out/adapter_config.json")).requireInt("oft_block_size")).isZero();
    }

    @Test
    void aRunIsNotBegunTwiceButResumed() throws IOException {
        Object[] args = {"--method", "series", "--bottleneck-size", 3, "--steps", 4, "--batch-size", 2};
        assertThat(tune(args)).isZero();
        byte[] adapter = Files.readAllBytes(folder.resolve("out/adapter_model.bin"));
        assertThat(tune(args)).isEqualTo(1);
        assertThat(err.toString()).contains("got to checkpoint-4; resume it (--resume), or take another folder");
        List<Object> resumed = new ArrayList<>(List.of(args));
        resumed.add("--resume");
        assertThat(tune(resumed.toArray())).isZero();
        assertThat(Files.readAllBytes(folder.resolve("out/adapter_model.bin"))).isEqualTo(adapter);
        resumed.set(3, 5);
        assertThat(tune(resumed.toArray())).isEqualTo(1);
        assertThat(err.toString()).contains("other settings: bottleneck_size was 3 and is 5");
    }

    @Test
    void anAdapterIsTrainedFurther() {
        assertThat(tune("--method", "lora", "--steps", 2, "--batch-size", 2, "--warmup-steps", 0)).isZero();
        float[] first = logits(model, folder.resolve("out"));
        assertThat(graft("tune", "--model", model, "--adapter", folder.resolve("out"), "--data", data, "--output",
                folder.resolve("further"), "--template", "short",
                "--cutoff-len", 128, "--steps", 2, "--batch-size", 2)).as(err.toString()).isZero();
        assertThat(logits(model, folder.resolve("further"))).isNotEqualTo(first);
    }

    @Test
    void settingsComeFromRecipeFileAndOptionsInThisOrder() throws IOException {
        Path settings = Files.writeString(folder.resolve("settings.json"),
                "{\"learning_rate\": 0.5, \"batch_size\": 3, \"schedule\": \"cosine\"}");
        assertThat(tune("--method", "lora", "--config", settings, "--batch-size", 2, "--steps", 1, "--no-load-best", "--clip-norm", 7))
                .as(err.toString()).isZero();
        TrainConfig config = TrainConfig.of(training().requireObject("settings"));
        assertThat(config).isEqualTo(TrainConfig
                .with(c -> c.learningRate(0.5).batchSize(2).steps(1).schedule(dev.graft.optim.Schedule.Law.COSINE).loadBest(false)
                        .clipNorm(7)));
    }

    @Test
    void aFileChangesWhatTheRecipeSays() throws IOException {
        Path settings = Files.writeString(folder.resolve("settings.json"), "{\"batch_size\": 2, \"steps\": 1}");
        assertThat(tune("--method", "lora", "--recipe", "llm_adapters", "--config", settings)).as(err.toString()).isZero();
        TrainConfig config = TrainConfig.of(training().requireObject("settings"));
        assertThat(config.batchSize()).isEqualTo(2);
        assertThat(config.average()).isEqualTo(TrainConfig.LLM_ADAPTERS.average()).isNotEqualTo(TrainConfig.DEFAULT.average());
    }

    @Test
    void llmAdaptersRecipeIsThatProjects() {
        assertThat(graft("tune", "--model", model, "--data", data, "--output", folder.resolve("out"), "--recipe", "llm_adapters",
                "--cutoff-len", 128, "--method", "lora",
                "--steps", 1)).as(err.toString()).isZero();
        TrainConfig config = TrainConfig.of(training().requireObject("settings"));
        assertThat(config.toMap()).isEqualTo(
                TrainConfig.LLM_ADAPTERS.toMap().entrySet().stream().collect(java.util.stream.Collectors.toMap(java.util.Map.Entry::getKey,
                        e -> e.getKey().equals("steps") ? 1 : e.getValue())));
    }

    @Test
    void mistakesAreUsageErrorsThatNameTheOption() {
        assertThat(tune("--method", "lora", "--learning-rate", -1)).isEqualTo(2);
        assertThat(err.toString()).contains("--learning-rate must be above 0, got -1.0");
        assertThat(tune("--method", "lora", "--optimizer", "adam")).isEqualTo(2);
        assertThat(err.toString()).contains("--optimizer must be one of [adamw, sgd, mofo, mezo], got 'adam'");
        assertThat(tune("--method", "lora", "--batch-size", "many")).isEqualTo(2);
        assertThat(err.toString()).contains("--batch-size").contains("many");
        assertThat(tune("--method", "lroa")).isEqualTo(2);
        assertThat(err.toString()).contains("no method 'lroa'; there are [lora, ");
        assertThat(tune("--method", "lora", "--bottleneck-size", 8)).isEqualTo(2);
        assertThat(err.toString()).contains("--bottleneck-size is no option of method 'lora', which has [--r, --lora-alpha");
        assertThat(tune("--method", "lora", "--r", 0)).isEqualTo(2);
        assertThat(err.toString()).contains("--r 0: r must be at least 1, got 0");
        assertThat(tune("--method", "lora", "--lora-dropout", "much")).isEqualTo(2);
        assertThat(err.toString()).contains("--lora-dropout much: ").contains("must be a finite number");
        assertThat(tune()).isEqualTo(2);
        assertThat(err.toString()).contains("give --method for a new adapter, or --adapter");
        assertThat(tune("--method", "lora", "--validation-size", 40)).isEqualTo(2);
        assertThat(err.toString()).contains("--validation-size: 40 of 40 records cannot be held out");
        assertThat(tune("--method", "lora", "--cutoff-len", 1000)).isEqualTo(2);
        assertThat(err.toString()).contains("--cutoff-len");
        assertThat(folder.resolve("out")).doesNotExist();
    }

    @Test
    void aCutoffBeforeEveryResponseIsExplained() {
        assertThat(
                graft("tune", "--model", model, "--data", data, "--output", folder.resolve("out"), "--method", "lora", "--cutoff-len", 8))
                .isEqualTo(2);
        assertThat(out.toString()).contains("40 left out, of whose response --cutoff-len 8 leaves nothing that counts");
        assertThat(err.toString()).contains("--cutoff-len 8 leaves nothing to learn");
    }

    @Test
    void targetsThatAreNowhereFailWithTheChoices() {
        assertThat(tune("--method", "lora", "--target-modules", "c_attn")).isEqualTo(1);
        assertThat(err.toString()).contains("no layer matches 'c_attn'", "q_proj");
    }

    @Test
    void aWordStandsForManyTargets() {
        assertThat(tune("--method", "lora", "--r", 2, "--target-modules", "all-linear", "--steps", 1)).as(err.toString()).isZero();
        assertThat(training().requireInt("trainable_parameters")).isGreaterThan(576);
    }

    @Test
    void helpShowsEveryDefault() {
        assertThat(graft("tune", "--help")).isZero();
        List<String> options = Pattern.compile("\\R {2,6}(?=-)").splitAsStream(out.toString()).map(o -> o.replaceAll("\\s+", " ")).toList();
        TrainConfig.DEFAULT.toMap().forEach((name, value) -> {
            String option = (value.equals(true) ? "--no-" : "--") + name.replace('_', '-');
            String help = options.stream().filter(o -> o.matches(option + "[= ].*")).findFirst()
                    .orElseThrow(() -> new AssertionError(option));
            if (!(value instanceof Boolean)) assertThat(help).contains("(default: " + value + ")");
        });
    }

    @Test
    void methodsListsAllAndTheOptionsOfOne() {
        assertThat(graft("methods")).isZero();
        assertThat(out.toString()).contains("lora ", "series ", "parallel ", "scaled-parallel ", "arXiv:2106.09685");
        assertThat(graft("methods", "series")).isZero();
        assertThat(out.toString()).containsPattern("--bottleneck-size +256").containsPattern("--non-linearity +tanh")
                .containsPattern("--target-modules +-");
        assertThat(graft("methods", "seris")).isEqualTo(2);
        assertThat(err.toString()).contains("no method 'seris'");
    }

    @Test
    void inspectShowsLayersPlacesAndCounts() {
        assertThat(graft("inspect", "--model", model, "--method", "lora", "--r", 2, "--target-modules", "up_proj")).as(err.toString())
                .isZero();
        assertThat(out.toString())
                .contains("llama: 2 layers, width 16, 2 heads (1 for keys and values) of 8, vocabulary 300, 128 positions, tied head")
                .containsPattern("model\\.layers\\.\\*\\.mlp\\.up_proj\\.weight +\\[24, 16] +x 2").contains("LORA on 2 layers")
                .containsPattern("up_proj\\.lora_A\\.weight +\\[2, 16] +x 2").contains("160 trainable parameters");
        assertThat(graft("inspect", "--model", model, "--all")).isZero();
        assertThat(out.toString()).contains("model.layers.0.mlp.up_proj.weight", "model.layers.1.mlp.up_proj.weight");
        assertThat(graft("inspect", "--model", model, "--method", "lora", "--adapter", "x")).isEqualTo(2);
    }
}
