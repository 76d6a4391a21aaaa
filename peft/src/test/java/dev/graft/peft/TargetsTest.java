package dev.graft.peft;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.graft.models.CausalLm;
import dev.graft.nn.Layer;
import dev.graft.peft.method.Lora;
import java.util.List;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.Test;

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
                .hasMessage("please specify target_modules: Lora has no default for model_type 'rwkv'");
        assertThat(Graft.plan(MODEL, Lora.DEFAULT).adapter().targets()).isEqualTo(Targets.of("q_proj", "v_proj"));
    }

    @Test
    void aLayerTheMethodCannotAdaptIsNamed() {
        assertThatThrownBy(() -> Graft.plan(MODEL, Lora.of(2, 2, "input_layernorm")))
                .hasMessage("Lora cannot adapt 'model.layers.0.input_layernorm', which is a RmsNorm; name other target_modules");
    }
}
