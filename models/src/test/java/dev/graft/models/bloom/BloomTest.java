package dev.graft.models.bloom;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.graft.models.Golden;
import dev.graft.models.GoldenTensors;
import dev.graft.models.Inputs;
import dev.graft.models.ModelLoader;
import dev.graft.models.Pass;
import dev.graft.models.io.CheckpointException;
import dev.graft.models.io.Json;
import dev.graft.tensor.DType;
import dev.graft.tensor.Scope;
import dev.graft.tensor.Tensor;
import java.util.Arrays;
import java.util.List;
import java.util.OptionalInt;
import org.assertj.core.data.Offset;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/// What the goldens do not reach: sizes, spellings, refusals, slopes.
class BloomTest {
    private static final int[] TEXT = {3, 1, 4, 1, 5, 9, 2, 6};

    @Test
    void slopesAreThoseOfThePaperForAnyNumberOfHeads() {
        assertSlopes(8, 0.5, 0.25, 0.125, 0.0625, 0.03125, 0.015625, 0.0078125, 0.00390625);
        assertSlopes(6, 0.25, 0.0625, 0.015625, 0.00390625, 0.5, 0.125);
        assertSlopes(12, 0.5, 0.25, 0.125, 0.0625, 0.03125, 0.015625, 0.0078125, 0.00390625, 0.7071067812, 0.3535533906, 0.1767766953,
                0.08838834765);
        assertSlopes(1, 0.00390625);
        double[] large = Alibi.slopes(112);
        assertThat(large[0]).isCloseTo(0.917004, Offset.offset(1e-6));
        assertThat(large[63]).isEqualTo(0.00390625);
        assertThat(large[64]).isCloseTo(0.957603, Offset.offset(1e-6));
        assertThat(large[111]).isCloseTo(0.016317, Offset.offset(1e-6));
    }

    private static void assertSlopes(int heads, double... expected) {
        assertThat(Alibi.slopes(heads)).containsExactly(expected, Offset.offset(1e-10));
    }

    @Test
    void theBiasCountsTheKeysThatCount() {
        try (var _ = Scope.open()) {
            Pass pass = new Pass(Tensor.range(DType.I32, 1).expand(2, 1), 5, Tensor.of(new int[] {0, 0, 1, 1, 1, 1, 0, 1, 1, 0}, 2, 5),
                    null, null, null, null, 0);
            Tensor bias = new Alibi(2).bias(pass);                                       // slopes 1/16 and 1/256
            assertThat(bias.shape().dims()).containsExactly(2, 2, 1, 5);
            assertThat(bias.mul(256).toFloats()).containsExactly(0, 0, 0, 16, 32, 0, 0, 0, 1, 2, 0, 0, 16, 32, 0, 0, 0, 1, 2, 0);
        }
    }

    @Test
    void paddingOnEitherSideChangesNothing() {
        try (Bloom model = model("{'vocab_size': 13, 'hidden_size': 15, 'n_layer': 2, 'n_head': 5}"); var _ = Scope.open()) {
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

    @ParameterizedTest
    @CsvSource(delimiter = '|', value = {
            "560m | {'hidden_size': 1024, 'n_layer': 24, 'n_head': 16}   | 559214592",
            "7b1  | {'n_embed': 4096, 'n_layer': 30, 'n_head': 32}       | 7069016064",
            "176b | {'n_embd': 14336, 'num_hidden_layers': 70, 'num_attention_heads': 112} | 176247271424"})
    void knownModelsHaveTheirKnownNumberOfParameters(String name, String json, long parameters) {
        try (Bloom model = new Bloom(config(json))) {
            assertThat(model.parameterCount()).as(name).isEqualTo(parameters);
        }
    }

    @Test
    void whatIsAbsentHasTheDefaultOfTheReference() {
        assertThat(config("{}")).isEqualTo(new BloomConfig(250880, 64, 2, 8, 1e-5, false, 2048, true, 0.02, OptionalInt.of(1), List.of(2),
                OptionalInt.of(3)));
    }

    @Test
    void whatIsWrittenReadsBackTheSame() {
        for (String json : List.of("{}",
                "{'apply_residual_connection_post_layernorm': true, 'tie_word_embeddings': false, 'eos_token_id': [2, 5]}",
                Json.read(Golden.path("models/bloom-h6-postln/config.json")).toString())) {
            assertThat(config(Json.format(config(json).toJson()))).isEqualTo(config(json));
        }
    }

    @Test
    void whatOnlyConcernsHowItWasTrainedIsPassedOver() {
        assertThat(config(
                "{'n_inner': 7, 'pretraining_tp': 4, 'slow_but_exact': true, 'offset_alibi': 100, 'attention_softmax_in_fp32': true, "
                        + "'masked_softmax_fusion': true, 'skip_bias_add': true, 'bias_dropout_fusion': true}"))
                .isEqualTo(config("{}"));
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', value = {
            "{'hidden_size': 10, 'n_head': 4}                   | \"hidden_size\" must be a multiple of the number of heads, got 10 and 4",
            "{'hidden_dropout': 0.1}                            | hidden_dropout",
            "{'attention_dropout': 0.1}                         | attention_dropout",
            "{'layer_norm_epsilon': -1}                         | layer_norm_epsilon",
            "{'n_layer': 0}                                     | \"n_layer\" must be at least 1",
            "{'quantization_config': {'quant_method': 'gptq'}}  | quantization_config"})
    void whatIsNotComputedIsRefusedByName(String json, String message) {
        assertThatThrownBy(() -> config(json)).isInstanceOf(CheckpointException.class).hasMessageContaining(message);
    }

    @Test
    void anUntiedHeadIsAParameterOfItsOwn() {
        try (Bloom model = model("{'vocab_size': 13, 'hidden_size': 16, 'tie_word_embeddings': false}"); var _ = Scope.open()) {
            assertThat(model.head().weight()).isNotSameAs(model.embedding().weight());
            assertThat(model.logits(Inputs.of(new int[][] {TEXT})).shape().dims()).containsExactly(1, 8, 13);
        }
    }

    private static Bloom model(String json) {
        Bloom model = (Bloom) ModelLoader
                .empty(Json.parse(json.replace('\'', '"').replaceFirst("\\{", "{\"model_type\": \"bloom\", "), "test"));
        model.initialise(3);
        return model;
    }

    private static BloomConfig config(String json) {
        return BloomConfig.of(Json.parse(json.replace('\'', '"'), "config.json"));
    }
}
