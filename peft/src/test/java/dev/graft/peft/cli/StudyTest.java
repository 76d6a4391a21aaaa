package dev.graft.peft.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.graft.models.ModelLoader;
import dev.graft.models.ModelWriter;
import dev.graft.models.io.Json;
import dev.graft.models.io.JsonObject;
import dev.graft.tensor.DType;
import dev.graft.tensor.Scope;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// `study`, on random models.
class StudyTest extends CommandTest {
    /// Ten cells; that of a place that no model has fails in each.
    private static final String CONFIG = """
            {"models": {"llama": "llama", "bloom": "bloom"},
             "train": {"word_problems": 40},
             "tests": {"sums": {"word_problems": 6, "max_new_tokens": 4}},
             "methods": {"none": {}, "lora": {"r": 2, "lora_dropout": 0.1},
                         "after": {"method": "series", "bottleneck_size": 3, "places": ["mlp"]},
                         "wild": {"method": "ia3", "places": [["nowhere"]]}},
             "places": ["attention", "both"], "learning_rates": [0.01], "seeds": [1],
             "training": {"steps": 6, "batch_size": 4, "micro_batch_size": 2, "save_every": 2, "clip_norm": 0},
             "template": "short", "cutoff_len": 128, "evaluation": {"beams": 1, "batch_size": 3}}""";

    @TempDir
    static Path shared;

    @TempDir
    Path folder;

    @BeforeAll
    static void models() throws IOException {
        TinyModel.model(shared.resolve("llama"));
        TinyModel.model(shared.resolve("bloom"));
        Files.delete(shared.resolve("bloom/model.safetensors"));
        try (var _ = Scope.open(); var bloom = ModelLoader.empty(Json.parse("""
                {"model_type": "bloom", "vocab_size": 300, "hidden_size": 16, "n_layer": 2, "n_head": 2, "seq_length": 128, "initializer_range": 0.1,
                 "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}""", "bloom"))) {
            ModelWriter.saveRandom(bloom, 5, shared.resolve("bloom"), DType.F32, ModelWriter.SHARD);
        }
        Files.writeString(shared.resolve("study.json"), CONFIG);
    }

    private int study(Path config, Path output) {
        return graft("study", "--config", config, "--output", output);
    }

    /// Cells by name, without what time there was.
    private static Map<String, Map<String, Object>> results(Path output) throws IOException {
        Map<String, Map<String, Object>> results = new TreeMap<>();
        for (String line : Files.readAllLines(output.resolve("results.jsonl"))) {
            JsonObject json = Json.parse(line, "line");
            Map<String, Object> plain = json.toMap();
            List.of("training_seconds", "tokens_per_second", "peak_tensor_bytes").forEach(plain::remove);
            plain.computeIfPresent("error", (_, e) -> e.toString().replace(output.toString(), "OUTPUT"));
            results.put(json.requireString("cell"), plain);
        }
        return results;
    }

    @Test
    void everyCellIsTunedEvaluatedAndReportedAndAFailingOneIsSurvived() throws IOException {
        Path output = folder.resolve("out");
        assertThat(study(shared.resolve("study.json"), output)).isEqualTo(1);
        assertThat(err.toString()).contains("2 of 10 cells failed; " + output.resolve("report.md") + " says why");
        assertThat(out.toString()).contains("10 cells, 10 to do", "cell 1 of 10: llama/none",
                "cell 10 of 10: bloom/wild/nowhere/lr=0.01/seed=1; left 0:");
        Map<String, Map<String, Object>> results = results(output);
        assertThat(results).hasSize(10);
        assertThat(results.get("llama/wild/nowhere/lr=0.01/seed=1").get("error").toString()).isEqualTo("""
                graft tune: no layer matches 'nowhere'; the model has [down_proj, embed_tokens, gate_proj, input_layernorm, k_proj, lm_head, mlp, \
                norm, o_proj, post_attention_layernorm, q_proj, self_attn, up_proj, v_proj]""");
        Map<String, Object> lora = results.get("llama/lora/both/lr=0.01/seed=1");
        // r (in + out) of q, k, v, o, gate, up and down in two layers of a LLaMA of 16, 8 of one key/value head, and 24.
        assertThat(lora).containsEntry("trainable_parameters", 2 * 2 * (2 * 32 + 2 * 24 + 3 * 40))
                .containsEntry("model_parameters", 2 * (2 * 16 * 16 + 2 * 16 * 8 + 3 * 16 * 24 + 2 * 16) + 16 + 300 * 16)
                .containsKeys("adapter_sha256", "settings", "final_loss");
        assertThat(Json.read(output.resolve("cells/llama/lora/both/lr=0.01/seed=1/adapter_config.json")).requireStrings("target_modules"))
                .contains("o_proj", "gate_proj");
        assertThat(
                Json.read(output.resolve("cells/bloom/lora/attention/lr=0.01/seed=1/adapter_config.json")).requireStrings("target_modules"))
                .containsExactlyInAnyOrder("query_key_value", "dense");
        assertThat(Json.read(output.resolve("cells/bloom/after/mlp/lr=0.01/seed=1/adapter_config.json")).requireStrings("target_modules"))
                .containsExactly("dense_4h_to_h");
        try (Stream<Path> files = Files.walk(output.resolve("cells/llama/lora"))) {
            assertThat(files).noneMatch(f -> f.getFileName().toString().startsWith("checkpoint-"));
        }
        assertThat(Files.readString(output.resolve("report.md"))).contains("10 cells: 8 done, 2 failed, 0 to do", "## llama", "## bloom",
                "| wild | nowhere | – | 1 of 1 failed |", "- `bloom/wild/nowhere/lr=0.01/seed=1`: graft tune: no layer matches 'nowhere';",
                "![accuracy-llama](accuracy-llama.png)");
        assertThat(output.resolve("accuracy-llama.png")).exists();

        // Again: only what failed is tried. The cell that a hand does alone is the same to the bit.
        assertThat(study(shared.resolve("study.json"), output)).isEqualTo(1);
        assertThat(out.toString()).contains("10 cells, 2 to do", "cell 9 of 10: llama/wild", "cell 10 of 10: bloom/wild")
                .doesNotContain("lora");
        assertThat(results(output)).isEqualTo(results);
        Path byHand = folder.resolve("by-hand");
        assertThat(graft("tune", "--model", shared.resolve("llama"), "--data", output.resolve("data/train.jsonl"), "--output", byHand,
                "--method", "lora",
                "--r", 2, "--lora-dropout", 0.1, "--target-modules", "both", "--learning-rate", 0.01, "--seed", 1, "--steps", 6,
                "--batch-size", 4,
                "--micro-batch-size", 2, "--clip-norm", 0, "--template", "short", "--cutoff-len", 128)).isZero();
        assertThat(byHand.resolve("adapter_model.safetensors"))
                .hasSameBinaryContentAs(output.resolve("cells/llama/lora/both/lr=0.01/seed=1/adapter_model.safetensors"));
    }

    @Test
    void whatIsThereMustHaveBeenMadeFromTheSame() throws IOException {
        String small = CONFIG.replace("\"bloom\": \"bloom\"", "\"other\": \"llama\"").replaceAll("(?s), \"lora\": .*nowhere\"]]}}", "}");
        Path config = Files.writeString(shared.resolve("bare.json"), small);
        assertThat(study(config, folder)).as(err.toString()).isZero();
        assertThat(out.toString()).contains("2 cells, 2 to do", "wrote " + folder.resolve("report.md"));
        // Another model in the grid adds to it; other settings do not fit in.
        Files.writeString(config, small.replace("\"other\"", "\"third\""));
        Path stale = Files.createDirectories(folder.resolve("cells/third/none")).resolve("stale.txt");
        Files.writeString(stale, "of a try that was made from something else");
        assertThat(study(config, folder)).as(err.toString()).isZero();
        assertThat(stale).doesNotExist();
        assertThat(out.toString()).contains("2 cells, 1 to do", "cell 2 of 2: third/none");
        Files.writeString(config, small.replace("\"beams\": 1", "\"beams\": 2"));
        assertThat(study(config, folder)).isEqualTo(1);
        assertThat(err.toString()).contains("holds the cell llama/none as it was made from something else: settings.beams was 1 and is 2;");
        Path test = folder.resolve("data/test-sums.jsonl");
        String asked = Files.readString(test);
        Files.writeString(config, small.replaceFirst("(\"sums\": \\{\"word_problems\": )\\d+", "$11"));
        assertThat(study(config, folder)).isEqualTo(1);
        assertThat(err.toString()).contains("sha256.test sums was ");
        assertThat(test).as("what a refused study was made from").hasContent(asked);
        Files.writeString(config, small.replace("\"beams\"", "\"breams\""));
        assertThat(study(config, folder)).isEqualTo(1);
        assertThat(err.toString()).contains("bare.json: \"evaluation.breams\" is no field of an evaluation");
    }

    /// `kill -9` in the first cell that trains, then in a later one, then to the end: all as if nothing had happened.
    @Test
    void aKilledStudyGoesOnToTheSameResults() throws IOException, InterruptedException {
        Path config = Files.writeString(shared.resolve("killed.json"),
                CONFIG.replaceAll("(?s),\\s*\"wild\".*nowhere\"]]}", "").replace("\"steps\": 6", "\"steps\": 14"));
        assertThat(study(config, folder.resolve("whole"))).as(err.toString()).isZero();
        Path killed = folder.resolve("killed");
        for (String cell : List.of("llama/lora/attention", "bloom/lora/both")) {
            Process child = child(config, killed);
            Path metrics = killed.resolve("cells").resolve(cell).resolve("lr=0.01/seed=1/metrics.jsonl");
            while (child.isAlive() && (!Files.exists(metrics) || Files.readAllLines(metrics).size() < 5)) TimeUnit.MILLISECONDS.sleep(1);
            child.toHandle().destroyForcibly();
            assertThat(child.waitFor()).as(() -> "killed in time").isEqualTo(128 + 9);
        }
        assertThat(results(killed)).hasSize(6);
        assertThat(study(config, killed)).as(err.toString()).isZero();
        assertThat(results(killed)).isEqualTo(results(folder.resolve("whole")));
    }

    private Process child(Path config, Path output) throws IOException {
        List<String> command = new ArrayList<>(List.of(Path.of(System.getProperty("java.home"), "bin", "java").toString(), "--add-modules",
                "jdk.incubator.vector", "--enable-native-access=ALL-UNNAMED", "-XX:+UseSerialGC", "-cp",
                System.getProperty("java.class.path"),
                Main.class.getName(), "study", "--config", config.toString(), "--output", output.toString()));
        return new ProcessBuilder(command).redirectErrorStream(true).redirectOutput(folder.resolve("said.txt").toFile()).start();
    }
}
