package dev.graft.peft;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.graft.models.io.CheckpointException;
import dev.graft.models.io.Json;
import dev.graft.models.io.JsonObject;
import dev.graft.peft.method.Bottleneck;
import dev.graft.peft.method.Lora;
import dev.graft.peft.method.Scaling;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

/// adapter_config.json: what is understood, what is passed over, what is refused.
class FieldsTest {
    private static Adapter read(JsonObject json) {
        return AdapterFolder.read(json, List.of());
    }

    private static JsonObject json(String text) {
        return Json.parse(text, "adapter_config.json");
    }

    @Test
    void aRecordsComponentsAreTheFields() {
        assertThat(Fields.of(Lora.of(8, 16, "q_proj"))).containsExactlyInAnyOrderEntriesOf(new LinkedHashMap<>() {
            {
                put("r", 8);
                put("lora_alpha", 16L);
                put("lora_dropout", 0.0);
                put("target_modules", List.of("q_proj"));
                put("exclude_modules", null);
                put("layers_to_transform", null);
                put("layers_pattern", null);
                put("modules_to_save", null);
                put("bias", "none");
                put("use_rslora", false);
                put("use_dora", false);
                put("init_lora_weights", true);
                put("rank_pattern", Map.of());
                put("alpha_pattern", Map.of());
                put("lora_bias", false);
                put("fan_in_fan_out", false);
            }
        });
        assertThat(Fields.of(Bottleneck.SCALED_PARALLEL)).containsEntry("scaling", "learned").containsEntry("use_parallel_adapter", true);
        assertThat(Fields.of(Bottleneck.DEFAULT)).containsEntry("scaling", 1.0);
    }

    static Stream<Adapter> adapters() {
        Lora all = new Lora(3, 2.5, 0.1,
                new Targets(new Targets.Listed(List.of("a", "b.c")), new Targets.Matching("x.*"), List.of(1, 3), List.of("h"),
                        List.of("lm_head")),
                "lora_only", true, false, "gaussian", Map.of("a", 2), Map.of("b", 1.5), true, true);
        return Stream.concat(Adapters.ALL.stream().map(Method::defaults),
                Stream.of(all, all.with("init_lora_weights", false), Lora.of(1, 1).with(
                        "target_modules", "all-linear"), Bottleneck.DEFAULT.with("scaling", 4),
                        Bottleneck.DEFAULT.with("target_modules", ".*_proj")));
    }

    @ParameterizedTest
    @MethodSource("adapters")
    void whatIsWrittenReadsTheSame(Adapter adapter) {
        Map<String, Object> config = AdapterFolder.config(adapter, "base");
        assertThat(List.copyOf(config.keySet())).isSorted();
        assertThat(read(json(Json.format(config)))).isEqualTo(adapter);
    }

    @Test
    void aMinimalFileTakesTheDefaults() {
        assertThat(read(json("{\"peft_type\": \"LORA\", \"r\": 4, \"target_modules\": [\"q_proj\"]}"))).isEqualTo(Lora.of(4, 8, "q_proj"));
        assertThat(read(json("{\"peft_type\": \"BOTTLENECK\", \"scaling\": 4}")))
                .isEqualTo(new Bottleneck(256, "tanh", 0, Scaling.by(4), false,
                        false, "bert", "none", Targets.DEFAULT));
    }

    @Test
    void singleValuesStandForLists() {
        Lora lora = (Lora) read(
                json("{\"peft_type\": \"LORA\", \"target_modules\": [\"q\"], \"layers_to_transform\": 2, \"layers_pattern\": \"h\"}"));
        assertThat(lora.targets()).isEqualTo(new Targets(new Targets.Listed(List.of("q")), null, List.of(2), List.of("h"), null));
        assertThat(((Lora) read(json("{\"peft_type\": \"LORA\", \"layers_pattern\": \"\"}"))).targets()).isEqualTo(Targets.DEFAULT);
    }

    @Test
    void theOrderOfPatternsIsKept() {
        Lora lora = (Lora) read(json("{\"peft_type\": \"LORA\", \"r\": 8, \"rank_pattern\": {\"z.*\": 3, \"layers.0.q\": 2, \"q\": 5}}"));
        assertThat(lora.rank("m.layers.0.q")).isEqualTo(2);
        assertThat(lora.rank("m.layers.1.q")).isEqualTo(5);
        assertThat(lora.rank("m.layers.1.aq")).isEqualTo(8);
        Lora other = (Lora) read(json("{\"peft_type\": \"LORA\", \"r\": 8, \"rank_pattern\": {\"q\": 5, \"layers.0.q\": 2}}"));
        assertThat(other.rank("m.layers.0.q")).isEqualTo(5);
    }

    @Test
    void fieldsThatSayNothingArePassedOver() {
        assertThat(read(json("""
                {"peft_type": "LORA", "task_type": "CAUSAL_LM", "peft_version": "0.21.0", "inference_mode": true, "auto_mapping": null, "revision": null,
                 "base_model_name_or_path": "x", "runtime_config": {"ephemeral_gpu_offload": true}, "megatron_core": "megatron.core", "qalora_group_size": 16,
                 "loftq_config": {}, "use_dora": false, "eva_config": null, "some_future_field": [], "layer_replication": null, "merge_weights": false,
                 "enable_lora": null}"""))).isEqualTo(Lora.DEFAULT);
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', quoteCharacter = '`', value = {"'use_bdlora': true | is true, which LORA does not compute",
            "'layer_replication': [[0, 2]] | is [[0, 2]], which LORA does not compute",
            "'trainable_token_indices': [1] | does not compute", "'enable_lora': [true, false, true] | does not compute",
            "'qalora_group_size': 32 | does not compute",
            "'use_qalora': true | does not compute", "'target_parameters': ['x'] | does not compute",
            "'use_dora': true, 'lora_bias': true | use_dora and lora_bias do not go together",
            "'r': 0 | r must be at least 1, got 0",
            "'r': 1.5 | must be a whole number", "'lora_dropout': 1 | lora_dropout must be in [0, 1), got 1.0",
            "'bias': 'some' | bias must be",
            "'init_lora_weights': 'loftq' | 'loftq' starts from the error of quantising the base model",
            "'init_lora_weights': 'eva' | 'eva' starts from data",
            "'init_lora_weights': 'corda' | 'corda' starts from data",
            "'init_lora_weights': 'magic' | 'magic' is not known; known are [true, false, gaussian",
            "'target_modules': 7 | must be a list of names, a regular expression, ", "'target_modules': '(' | is not a regular expression",
            "'rank_pattern': {'q': 0} | rank_pattern gives 'q' 0; it must be at least 1",
            "'rank_pattern': {'q(': 1} | is not a regular expression",
            "'rank_pattern': {'q': 'x'} | must be a whole number", "'lora_alpha': 'x' | must be a finite number"})
    void whatWouldBeAnotherComputationIsRefused(String field, String message) {
        assertThatThrownBy(() -> {
            Adapter adapter = read(json("{\"peft_type\": \"LORA\", %s}".formatted(field.replace('\'', '"'))));
            try (Toy toy = Toy.linear("q_proj", 2, 2, true)) {
                Graft.plan(toy, adapter.with("target_modules", List.of("q_proj")));
            }
        }).isInstanceOfAny(CheckpointException.class, AdapterException.class).hasMessageContaining(message);
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', quoteCharacter = '`', value = {"'scaling': 'much' | \"scaling\" must be a number or \"learned\", got much",
            "'scaling': true | must be a number or \"learned\"",
            "'non_linearity': 'sin' | non_linearity 'sin' is not known; known are [relu, gelu,",
            "'init_weights': 'xavier' | init_weights must be",
            "'bottleneck_size': 0 | bottleneck_size must be at least 1", "'adapter_dropout': -0.1 | adapter_dropout must be in [0, 1)"})
    void badBottlenecksAreRefused(String field, String message) {
        assertThatThrownBy(() -> read(json("{\"peft_type\": \"BOTTLENECK\", %s}".formatted(field.replace('\'', '"')))))
                .isInstanceOf(CheckpointException.class).hasMessageContaining(message).hasMessageContaining("adapter_config.json");
    }

    @Test
    void anUnknownTypeIsRefusedWithTheKnownOnes() {
        assertThatThrownBy(() -> read(json("{\"peft_type\": \"XLORA\"}"))).isInstanceOf(CheckpointException.class)
                .hasMessageMatching("adapter_config.json: \"peft_type\" is \"XLORA\"; known are \\[LORA, BOTTLENECK, .*LN_TUNING.*]");
        assertThatThrownBy(() -> read(json("{}"))).hasMessageContaining("\"peft_type\" is missing");
    }

    @Test
    void aFieldIsChangedByItsName() {
        assertThat(Lora.DEFAULT.with("lora_dropout", 0.1))
                .isEqualTo(new Lora(8, 8, 0.1, Targets.DEFAULT, "none", false, false, "true", Map.of(), Map.of(), false, false));
        assertThatThrownBy(() -> Lora.DEFAULT.with("dropout", 0.1)).isInstanceOf(AdapterException.class)
                .hasMessageStartingWith("Lora has no 'dropout'; it has [r, lora_alpha");
        assertThatThrownBy(() -> Lora.DEFAULT.with("r", "many")).hasMessageContaining("\"r\" must be a whole number");
        assertThat(Adapters.of("lora", Map.of("r", 16, "target_modules", List.of("q_proj")))).isEqualTo(Lora.of(16, 8, "q_proj"));
        assertThatThrownBy(() -> Adapters.named("lorra"))
                .hasMessageMatching("no method 'lorra'; there are \\[lora, series-h, .*, ln-tuning.*]");
    }
}
