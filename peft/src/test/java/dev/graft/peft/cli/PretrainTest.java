package dev.graft.peft.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.graft.models.CausalLm;
import dev.graft.models.Inputs;
import dev.graft.models.ModelLoader;
import dev.graft.models.io.Json;
import dev.graft.models.io.JsonObject;
import dev.graft.models.text.Tokenizer;
import dev.graft.peft.tinyworld.TinyWorld;
import dev.graft.peft.train.CausalLoss;
import dev.graft.tensor.Scope;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/// `pretrain`: small models from scratch.
class PretrainTest extends CommandTest {
    @TempDir
    Path folder;

    private int pretrain(Object... args) {
        return graft(
                join(new Object[] {"pretrain", "--output", folder.resolve("m"), "--stories", 400, "--vocab-size", 500, "--hidden-size", 24,
                        "--layers", 2, "--heads", 3, "--length", 32, "--batch-size", 4}, args));
    }

    /// The MLPs are as wide as the architectures have them, and what is written has learned: an untrained model is as perplexed as there are tokens.
    @ParameterizedTest
    @CsvSource({"llama, 26232", "bloom, 26544", "gptj, 38708"})
    void eachArchitectureLearnsAndIsWrittenAsAFolderThatLoads(String architecture, long parameters) {
        assertThat(pretrain("--architecture", architecture, "--steps", 40, "--learning-rate", 0.02)).as(err.toString()).isZero();
        JsonObject figures = Json.read(folder.resolve("m/pretraining.json"));
        assertThat(figures.requireString("architecture")).isEqualTo(architecture);
        assertThat(figures.requireDouble("held_out_perplexity")).isBetween(1.0, 250.0);
        assertThat(figures.requireDouble("trigram_perplexity")).isBetween(1.0, 100.0);
        try (CausalLm model = ModelLoader.load(folder.resolve("m"))) {
            assertThat(model.config().modelType()).isEqualTo(architecture);
            assertThat(model.parameterCount()).isEqualTo(parameters).isEqualTo(figures.requireLong("parameters"));
        }
    }

    /// What is written computes the same: its perplexity is that of the file.
    @Test
    void aWidthStableModelIsWrittenAsAGranite() {
        assertThat(pretrain("--mup-base-width", 12, "--mup-output-multiplier", 4, "--mup-zero-queries", "--steps", 40, "--learning-rate",
                0.02, "--dtype",
                "F32")).as(err.toString()).isZero();
        JsonObject figures = Json.read(folder.resolve("m/pretraining.json"));
        assertThat(figures.requireDouble("held_out_perplexity")).isBetween(1.0, 250.0);
        JsonObject config = Json.read(folder.resolve("m/config.json"));
        assertThat(config.requireString("model_type")).isEqualTo("granite");
        assertThat(config.requireDouble("logits_scaling")).isEqualTo(24.0 / 12 / 4);
        assertThat(config.requireDouble("attention_multiplier")).isEqualTo(1.0 / 8);
        try (CausalLm model = ModelLoader.load(folder.resolve("m"))) {
            assertThat(model.config().modelType()).isEqualTo("granite");
            assertThat(heldOutLoss(model)).isCloseTo(figures.requireDouble("held_out_loss"), within(1e-5));
        }
        assertThat(figures.requireDouble("mup_output_multiplier")).isEqualTo(4);
        assertThat(figures.requireDouble("learning_rate")).isEqualTo(0.02);
        assertThat(figures.requireInt("batch_size")).isEqualTo(4);
        assertThat(pretrain()).isEqualTo(1);
        assertThat(err.toString()).contains("holds a model already");
    }

    /// The figures are of stories alone, with questions among what was learned or not.
    @Test
    void questionsGoAmongTheStories() {
        assertThat(pretrain("--questions", 100, "--steps", 2)).as(err.toString()).isZero();
        JsonObject figures = Json.read(folder.resolve("m/pretraining.json"));
        assertThat(figures.requireInt("training_texts")).isEqualTo(500);
        assertThat(figures.requireInt("held_out_texts")).isEqualTo(2);
        assertThat(figures.requireInt("questions")).isEqualTo(100);
        assertThat(pretrain("--questions", 1, "--text", "x")).isEqualTo(1);
        assertThat(err.toString()).contains("--questions go among generated stories, not with --text");
    }

    /// Of the stories that `pretrain` held out, by the model that was read from the folder.
    private double heldOutLoss(CausalLm model) {
        double sum = 0;
        int tokens = 0;
        try (Tokenizer tokenizer = Tokenizer.load(folder.resolve("m")); var _ = Scope.open()) {
            for (String story : new TinyWorld(1).heldOut().limit(400 / 150).toList()) {
                int[] text = tokenizer.encode(story, false);
                int[][] row = {new int[text.length + 2]};
                row[0][0] = tokenizer.specialIds().bos().getAsInt();
                System.arraycopy(text, 0, row[0], 1, text.length);
                row[0][text.length + 1] = tokenizer.specialIds().eos().getFirst();
                sum += CausalLoss.losses(model, Inputs.of(row, null), row).sum().item();
                tokens += text.length + 1;
            }
        }
        return sum / tokens;
    }

    @Test
    void whatAnArchitectureCannotBeIsRefused() {
        assertThat(pretrain("--architecture", "bloom", "--mup-base-width", 12)).isEqualTo(1);
        assertThat(err.toString()).contains("--mup-base-width is for --architecture llama, got bloom");
        assertThat(pretrain("--mup-zero-queries")).isEqualTo(1);
        assertThat(err.toString()).contains("go with --mup-base-width");
        assertThat(pretrain("--mup-output-multiplier", 2)).isEqualTo(1);
        assertThat(err.toString()).contains("go with --mup-base-width");
        assertThat(pretrain("--architecture", "bloom", "--intermediate-size", 50)).isEqualTo(1);
        assertThat(err.toString()).contains("--intermediate-size 50 must be 96: BLOOM's MLP is always four times as wide");
        assertThat(pretrain("--architecture", "gptj", "--key-value-heads", 1)).isEqualTo(1);
        assertThat(err.toString()).contains("--key-value-heads 1 must be 3: GPT-J's heads are not grouped");
        assertThat(pretrain("--architecture", "rwkv")).isEqualTo(2);
        assertThat(err.toString()).contains("'rwkv'");
    }
}
