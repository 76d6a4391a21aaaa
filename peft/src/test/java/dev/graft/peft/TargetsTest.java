package dev.graft.peft;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.graft.models.CausalLm;
import dev.graft.nn.Layer;
import dev.graft.peft.method.Bottleneck;
import dev.graft.peft.method.Lora;
import java.util.List;
import java.util.Locale;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class TargetsTest {
    private static final CausalLm MODEL = Tiny.llama();

    @AfterAll
    static void close() {
        MODEL.close();
    }

    private static List<String> in(Targets targets) {
        return targets.layers(MODEL).stream().map(Layer::path).toList();
    }

    @Test
    void aNameIsWholeComponentsAtTheEndOfThePath() {
        assertThat(in(Targets.of("q_proj"))).containsExactly("model.layers.0.self_attn.q_proj", "model.layers.1.self_attn.q_proj");
        assertThat(in(Targets.of("self_attn.q_proj", "lm_head"))).containsExactly("model.layers.0.self_attn.q_proj",
                "model.layers.1.self_attn.q_proj",
                "lm_head");
        assertThat(in(Targets.of("layers.1.self_attn.v_proj"))).containsExactly("model.layers.1.self_attn.v_proj");
        assertThatThrownBy(() -> in(Targets.of("proj")))
                .hasMessage("no layer matches [proj]; the model has [down_proj, embed_tokens, gate_proj, "
                        + "input_layernorm, k_proj, lm_head, mlp, norm, o_proj, post_attention_layernorm, q_proj, self_attn, up_proj, v_proj]");
    }

    @Test
    void aPatternMatchesTheWholePath() {
        assertThat(in(Targets.matching(".*\\.1\\..*(q|k)_proj"))).containsExactly("model.layers.1.self_attn.q_proj",
                "model.layers.1.self_attn.k_proj");
        assertThatThrownBy(() -> in(Targets.matching("q_proj"))).hasMessageContaining("no layer matches 'q_proj'");
        assertThatThrownBy(() -> Targets.matching("(q_proj")).isInstanceOf(AdapterException.class)
                .hasMessageContaining("'(q_proj' is not a regular expression");
    }

    @Test
    void allLinearLeavesTheHeadOut() {
        assertThat(in(Targets.allLinear())).hasSize(14).allMatch(p -> p.endsWith("_proj"));
    }

    /// The names and where they come in each architecture, as its own checkpoints call them.
    @ParameterizedTest
    @CsvSource({
            "llama, attention, self_attn.q_proj self_attn.k_proj self_attn.v_proj self_attn.o_proj",
            "llama, mlp, mlp.gate_proj mlp.up_proj mlp.down_proj",
            "bloom, attention, self_attention.query_key_value self_attention.dense",
            "bloom, mlp, mlp.dense_h_to_4h mlp.dense_4h_to_h",
            "gptj, attention, attn.k_proj attn.v_proj attn.q_proj attn.out_proj",
            "gptj, mlp, mlp.fc_in mlp.fc_out"})
    void aPlaceIsAllItsLayersWhateverTheyAreCalled(String type, String place, String layers) {
        try (CausalLm model = tiny(type)) {
            String block = type.equals("llama") ? "model.layers." : "transformer.h.";
            List<String> expected = Stream.of(0, 1).flatMap(i -> Stream.of(layers.split(" ")).map(l -> block + i + "." + l)).toList();
            Lora lora = (Lora) Lora.DEFAULT.with("target_modules", place);
            assertThat(lora.targets()).isEqualTo(Targets.at(Targets.Place.valueOf(place.toUpperCase(Locale.ROOT))));
            assertThat(Graft.plan(model, lora).places()).containsExactlyInAnyOrderElementsOf(expected);
            assertThat(Graft.plan(model, lora).adapter().targets().targetModules()).isInstanceOf(Targets.Listed.class);
            // Both are all linear layers, and without a place the other one is left.
            List<String> all = Graft.plan(model, Lora.DEFAULT.with("target_modules", "all-linear")).places();
            assertThat(Graft.plan(model, Lora.DEFAULT.with("target_modules", "both")).places()).isEqualTo(all);
            List<String> others = Graft.plan(model, Lora.DEFAULT.with("target_modules", "all-linear").with("exclude_modules", place))
                    .places();
            assertThat(others).doesNotContainAnyElementsOf(expected).hasSize(all.size() - expected.size());
        }
    }

    /// At attention it is at attention's output, before the MLP.
    @ParameterizedTest
    @CsvSource({"llama, gate_proj up_proj, down_proj", "bloom, dense_h_to_4h, dense_4h_to_h", "gptj, fc_in, fc_out"})
    void aSeriesAdapterGoesWhereOneCanGo(String type, String attention, String mlp) {
        try (CausalLm model = tiny(type)) {
            assertThat(series(model, "attention")).containsExactlyInAnyOrder(attention.split(" "));
            assertThat(series(model, "mlp")).containsExactlyInAnyOrder(mlp.split(" "));
            assertThat(series(model, "both")).containsExactlyInAnyOrder((attention + " " + mlp).split(" "));
            assertThat(Graft.plan(model, Bottleneck.PARALLEL.with("target_modules", "both")).places())
                    .isEqualTo(Graft.plan(model, Lora.DEFAULT.with("target_modules", "all-linear")).places());
        }
    }

    private static List<String> series(CausalLm model, String place) {
        return Graft.plan(model, Bottleneck.DEFAULT.with("target_modules", place)).places().stream()
                .map(p -> p.substring(p.lastIndexOf('.') + 1)).distinct().toList();
    }

    private static CausalLm tiny(String type) {
        return switch (type) {
            case "llama" -> Tiny.llama();
            case "bloom" -> Tiny.bloom();
            default -> Tiny.gptj();
        };
    }

    @Test
    void exclusionWins() {
        assertThat(in(Targets.allLinear().except("mlp.up_proj", "o_proj", "layers.0.self_attn.q_proj"))).hasSize(9)
                .contains("model.layers.1.self_attn.q_proj");
    }

    @Test
    void blocksAreChosenByNumber() {
        assertThat(in(Targets.of("q_proj", "lm_head").inLayers(1))).containsExactly("model.layers.1.self_attn.q_proj");
        Targets named = new Targets(new Targets.Listed(List.of("q_proj")), null, List.of(0), List.of("h", "layers"), null);
        assertThat(in(named)).containsExactly("model.layers.0.self_attn.q_proj");
        assertThatThrownBy(() -> in(new Targets(new Targets.Listed(List.of("q_proj")), null, List.of(0), List.of("h"), null)))
                .hasMessageStartingWith("no layer matches [q_proj] in layers [0] of [h]");
        assertThatThrownBy(() -> in(Targets.of("q_proj").inLayers(7))).hasMessageStartingWith("no layer matches [q_proj] in layers [7]");
    }

    @Test
    void whatIsSavedWholeIsNotAdapted() {
        assertThat(in(Targets.allLinear().saving("mlp"))).hasSize(8).noneMatch(p -> p.contains("mlp"));
    }

    @Test
    void combinationsThatPeftRefusesAreRefused() {
        assertThatThrownBy(() -> Targets.matching(".*q_proj").inLayers(1)).hasMessageContaining("layers_to_transform goes with a list");
        assertThatThrownBy(() -> new Targets(null, null, null, List.of("h"), null)).hasMessageContaining("layers_pattern says nothing");
    }

    @Test
    void everyListedNameMustBeThereWhenAnAdapterIsNew() {
        assertThatThrownBy(() -> Peft.attach(MODEL, Lora.of(2, 2, "q_proj", "qproj"))).isInstanceOf(AdapterException.class)
                .hasMessageContaining("no layer matches 'qproj'; the model has [down_proj");
    }

    @Test
    void defaultsNeedAnArchitectureThatIsKnown() {
        try (Toy toy = Toy.linear("q_proj", 2, 2, false)) {
            assertThatThrownBy(() -> Graft.plan(toy, Lora.DEFAULT)).hasMessageContaining("please specify target_modules");
        }
        assertThatThrownBy(() -> Lora.DEFAULT.defaultTargets("rwkv"))
                .hasMessageStartingWith(
                        "please specify target_modules: Lora has no names of layers for model_type 'rwkv', only for [bloom, ");
        assertThat(Graft.plan(MODEL, Lora.DEFAULT).adapter().targets()).isEqualTo(Targets.of("q_proj", "v_proj"));
    }

    @Test
    void aLayerTheMethodCannotAdaptIsNamed() {
        assertThatThrownBy(() -> Graft.plan(MODEL, Lora.of(2, 2, "input_layernorm")))
                .hasMessage("Lora cannot adapt 'model.layers.0.input_layernorm', which is a RmsNorm; name other target_modules");
    }
}
