package dev.graft.peft.examples;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.graft.models.CausalLm;
import dev.graft.models.Golden;
import dev.graft.models.GoldenTensors;
import dev.graft.models.Inputs;
import dev.graft.models.ModelLoader;
import dev.graft.models.io.CheckpointException;
import dev.graft.models.io.Json;
import dev.graft.nn.Parameter;
import dev.graft.optim.AdamW;
import dev.graft.peft.Peft;
import dev.graft.peft.Targets;
import dev.graft.tensor.DType;
import dev.graft.tensor.Grads;
import dev.graft.tensor.Scope;
import dev.graft.tensor.Tape;
import dev.graft.tensor.Tensor;
import dev.graft.tensor.op.CrossEntropy;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// An adapter of one's own does what the library's do, and the page about it shows what is compiled here.
class ScaleShiftTest {
    private static final int[][] IDS = {{5, 9, 2, 44, 17, 3}, {8, 8, 1, 60, 7, 12}};

    @Test
    void trainsSavesLoadsAndMergesLikeTheOthers(@TempDir Path folder) {
        try (CausalLm model = ModelLoader.load(Golden.path("models/llama-gqa-tied"))) {
            float[] base = logits(model);
            float[] trained;
            try (Peft peft = Peft.attach(model, new ScaleShift(Targets.of("q_proj", "v_proj")))) {
                assertThat(logits(model)).isEqualTo(base);
                assertThat(peft.counts().trainable()).isEqualTo(3 * 2 * (48 + 16));
                double first = step(model, peft);
                assertThat(step(model, peft)).isLessThan(first);
                trained = logits(model);
                peft.save(folder);
            }
            assertThat(logits(model)).isEqualTo(base);
            try (Peft _ = Peft.load(model, folder, new ScaleShift(Targets.DEFAULT))) {
                assertThat(logits(model)).isEqualTo(trained);
            }
            assertThatThrownBy(() -> Peft.load(model, folder)).isInstanceOf(CheckpointException.class)
                    .hasMessageContaining("\"peft_type\" is \"SCALE_SHIFT\"; known are [LORA, BOTTLENECK, ");
        }
    }

    @Test
    void mergesWhereTheLayerHasABiasForTheShift() {
        String config = """
                {"model_type": "llama", "vocab_size": 64, "hidden_size": 20, "intermediate_size": 36, "num_hidden_layers": 2, "num_attention_heads": 5,
                 "attention_bias": true, "initializer_range": 0.3}""";
        try (CausalLm model = ModelLoader.empty(Json.parse(config, "config"))) {
            model.initialise(1);
            merges(model, "q_proj");
            assertThatThrownBy(() -> merges(model, "down_proj"))
                    .hasMessage("'model.layers.0.mlp.down_proj' cannot be merged: the adapter adds a bias and the layer has none");
        }
    }

    private static void merges(CausalLm model, String layer) {
        try (Peft peft = Peft.attach(model, new ScaleShift(Targets.of(layer))); var _ = Scope.open()) {
            for (Parameter p : peft.parameters()) p.fill(Tensor.randn(DType.F32, p.shape(), 1));
            float[] attached = logits(model);
            peft.merge();
            GoldenTensors.check("merged", logits(model), attached, 1e-4);
        }
    }

    @Test
    void thePageShowsThisCode() throws IOException {
        String page = Files.readString(Path.of("../docs/custom-adapter.md"));
        String source = Files.readString(Path.of("src/test/java/dev/graft/peft/examples/ScaleShift.java"));
        assertThat(page).contains("```java\n" + source + "```");
        assertThat(source.lines().count()).isLessThan(40);
    }

    private static double step(CausalLm model, Peft peft) {
        try (Tape tape = Tape.training(1); AdamW optimizer = new AdamW(peft.parameters(), AdamW.Config.DEFAULT)) {
            Tensor logits = model.logits(Inputs.of(IDS)).reshape(12, -1);
            Tensor next = Tensor.of(new int[] {9, 2, 44, 17, 3, -100, 8, 1, 60, 7, 12, -100});
            Tensor loss = new CrossEntropy(-100).apply(logits, next).sum();
            try (Grads grads = tape.backward(loss)) {
                optimizer.step(grads, 1e-2);
            }
            return loss.item();
        }
    }

    private static float[] logits(CausalLm model) {
        try (var _ = Scope.open()) {
            return model.logits(Inputs.of(IDS)).toFloats();
        }
    }
}
