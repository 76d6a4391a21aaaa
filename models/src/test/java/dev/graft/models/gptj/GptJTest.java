package dev.graft.models.gptj;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.graft.models.Golden;
import dev.graft.models.GoldenTensors;
import dev.graft.models.Inputs;
import dev.graft.models.ModelLoader;
import dev.graft.models.io.CheckpointException;
import dev.graft.models.io.Json;
import dev.graft.tensor.Scope;
import dev.graft.tensor.Tensor;
import java.util.Arrays;
import java.util.List;
import java.util.OptionalInt;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/// What the goldens do not reach: sizes, spellings, refusals.
class GptJTest {
    private static final int[] TEXT = {3, 1, 4, 1, 5, 9, 2, 6};

    @Test
    void gptJ6BHasItsKnownNumberOfParameters() {
        try (GptJ model = new GptJ(config("{}"))) {
            assertThat(model.parameterCount()).isEqualTo(6_050_882_784L);
        }
    }

    @Test
    void whatIsAbsentHasTheDefaultOfTheReference() {
        assertThat(config("{}"))
                .isEqualTo(new GptJConfig(50400, 4096, 16384, 28, 16, 64, 1e-5, 2048, 0.02, OptionalInt.of(50256), List.of(50256),
                        OptionalInt.empty()));
    }

    @Test
    void withoutANumberOfTurningElementsTheWholeHeadTurns() {
        assertThat(config("{'rotary_dim': null}").rotaryDim()).isEqualTo(256);
        assertThat(config("{'rotary_dim': 2}").rotaryDim()).isEqualTo(2);
    }

    @Test
    void theWidthOfTheMlpIsFourfoldUnlessGiven() {
        assertThat(config("{'n_embd': 32, 'n_head': 2, 'rotary_dim': 4, 'n_inner': null}").intermediate()).isEqualTo(128);
        assertThat(config("{'n_inner': 17}").intermediate()).isEqualTo(17);
    }

    @Test
    void whatIsWrittenReadsBackTheSame() {
        for (String json : List.of("{}", Json.read(Golden.path("models/gptj/config.json")).toString(),
                Json.read(Golden.path("models/gptj-inner/config.json")).toString())) {
            assertThat(config(Json.format(config(json).toJson()))).isEqualTo(config(json));
        }
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', value = {
            "{'n_embd': 10, 'n_head': 4}               | \"n_embd\" must be a multiple of the number of heads, got 10 and 4",
            "{'n_embd': 32, 'n_head': 4}               | \"rotary_dim\" must be even and at most the size of a head, 8, got 64",
            "{'rotary_dim': 3}                         | rotary_dim",
            "{'activation_function': 'relu'}           | \"activation_function\" is 'relu'",
            "{'attn_pdrop': 0.1}                       | attn_pdrop",
            "{'tie_word_embeddings': true}             | tie_word_embeddings",
            "{'scale_attn_weights': false}             | scale_attn_weights"})
    void whatIsNotComputedIsRefusedByName(String json, String message) {
        assertThatThrownBy(() -> config(json)).isInstanceOf(CheckpointException.class).hasMessageContaining(message);
    }

    @Test
    void paddingOnEitherSideChangesNothing() {
        String small = "{\"model_type\": \"gptj\", \"vocab_size\": 13, \"n_embd\": 15, \"n_layer\": 2, \"n_head\": 3, \"rotary_dim\": 4, \"n_inner\": 7}";
        try (GptJ model = (GptJ) ModelLoader.empty(Json.parse(small, "test")); var _ = Scope.open()) {
            model.initialise(3);
            float[] alone = model.logits(Inputs.of(new int[][] {TEXT})).toFloats();
            for (int before = 0; before <= 3; before++) {
                int[][] ids = {new int[TEXT.length + 3]};
                int[][] mask = {new int[TEXT.length + 3]};
                System.arraycopy(TEXT, 0, ids[0], before, TEXT.length);
                Arrays.fill(mask[0], before, before + TEXT.length, 1);
                Tensor padded = model.logits(Inputs.of(ids, mask));
                GoldenTensors.check("padded", padded.slice(1, before, before + TEXT.length).toFloats(), alone, 1e-5);
            }
        }
    }

    private static GptJConfig config(String json) {
        return GptJConfig.of(Json.parse(json.replace('\'', '"'), "config.json"));
    }
}
