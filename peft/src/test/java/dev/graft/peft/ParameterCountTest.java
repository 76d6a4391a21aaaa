package dev.graft.peft;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.graft.models.CausalLm;
import dev.graft.models.ModelLoader;
import dev.graft.models.io.Json;
import dev.graft.nn.Linear;
import dev.graft.peft.method.Bottleneck;
import dev.graft.peft.method.Lora;
import dev.graft.peft.method.PrefixTuning;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/// The exact totals of LLM-Adapters' presets, from shapes alone.
class ParameterCountTest {
    private static final Map<String, Adapter> LLAMA = Map.of("AdapterH", Bottleneck.DEFAULT, "AdapterP", Bottleneck.AFTER_MLP, "Parallel",
            Bottleneck.PARALLEL,
            "Parallel in MLP", Bottleneck.PARALLEL.with("target_modules", List.of("up_proj", "down_proj")), "LoRA r=8", Lora.DEFAULT,
            "LoRA q,k,v,up,down r=32",
            Lora.of(32, 64, "q_proj", "k_proj", "v_proj", "up_proj", "down_proj"));

    @ParameterizedTest
    @CsvSource({"AdapterH, 201326592, 2.901", "AdapterP, 67108864, 0.986", "Parallel, 201326592, 2.901",
            "Parallel in MLP, 247463936, 3.542",
            "LoRA r=8, 4194304, 0.062", "'LoRA q,k,v,up,down r=32', 56098816, 0.826"})
    void llama7b(String preset, long trained, double percent) {
        check(llama(4096, 11008, 32, 32), LLAMA.get(preset), trained, 6_738_415_616L, percent);
    }

    @ParameterizedTest
    @CsvSource({"AdapterH, 314572800, 2.360", "AdapterP, 104857600, 0.799", "Parallel, 314572800, 2.360",
            "Parallel in MLP, 387973120, 2.894",
            "LoRA r=8, 6553600, 0.050", "'LoRA q,k,v,up,down r=32', 87818240, 0.670"})
    void llama13b(String preset, long trained, double percent) {
        check(llama(5120, 13824, 40, 40), LLAMA.get(preset), trained, 13_015_864_320L, percent);
    }

    @ParameterizedTest
    @CsvSource({"10, 2621440, 4096000, 2457600, 2293760", "30, 7864320, 12288000, 7372800, 6881280"})
    void prefixesOnEveryArchitecture(int tokens, long llama7b, long llama13b, long bloomz7b1, long gptj6b) {
        Adapter prefix = PrefixTuning.DEFAULT.with("num_virtual_tokens", tokens);
        assertThat(Graft.plan(llama(4096, 11008, 32, 32), prefix).count()).isEqualTo(llama7b);
        assertThat(Graft.plan(llama(5120, 13824, 40, 40), prefix).count()).isEqualTo(llama13b);
        assertThat(Graft
                .plan(empty(Map.of("model_type", "bloom", "vocab_size", 250880, "hidden_size", 4096, "n_layer", 30, "n_head", 32)), prefix)
                .count()).isEqualTo(bloomz7b1);
        assertThat(Graft.plan(
                empty(Map.of("model_type", "gptj", "vocab_size", 50400, "n_embd", 4096, "n_layer", 28, "n_head", 16, "rotary_dim", 64)),
                prefix).count()).isEqualTo(gptj6b);
    }

    @ParameterizedTest
    @CsvSource({"7, 8, 19988480", "7, 32, 79953920", "7, 64, 159907840"})
    void llama2WithLoraEverywhere(int billions, int rank, long trained) {
        Adapter lora = Lora.of(rank, 16).with("target_modules", "all-linear");
        assertThat(Graft.plan(llama(4096, 11008, 32, 32), lora).count()).isEqualTo(trained);
    }

    private static void check(CausalLm model, Adapter adapter, long trained, long base, double percent) {
        assertThat(model.parameterCount()).isEqualTo(base);
        long count = Graft.plan(model, adapter).count();
        assertThat(count).isEqualTo(trained);
        assertThat(new Counts(count, base + count).percent()).isCloseTo(percent, within(5e-4));
    }

    private static CausalLm llama(int hidden, int intermediate, int layers, int heads) {
        return empty(Map.of("model_type", "llama", "vocab_size", 32000, "hidden_size", hidden, "intermediate_size", intermediate,
                "num_hidden_layers", layers, "num_attention_heads", heads));
    }

    private static CausalLm empty(Map<String, Object> config) {
        return ModelLoader.empty(Json.parse(Json.format(config), "config.json"));
    }

    /// Architectures by the shapes of the layers that adapters go to.
    private static Toy bloomz7b1() {
        Map<String, Linear> layers = new LinkedHashMap<>();
        for (int i = 0; i < 30; i++) {
            layers.put("transformer.h." + i + ".self_attention.query_key_value", new Linear(4096, 3 * 4096, true));
            layers.put("transformer.h." + i + ".self_attention.dense", new Linear(4096, 4096, true));
            layers.put("transformer.h." + i + ".mlp.dense_h_to_4h", new Linear(4096, 16384, true));
            layers.put("transformer.h." + i + ".mlp.dense_4h_to_h", new Linear(16384, 4096, true));
        }
        return Toy.of(layers);
    }

    private static Toy gptj6b() {
        Map<String, Linear> layers = new LinkedHashMap<>();
        for (int i = 0; i < 28; i++) {
            for (String p : List.of("q_proj", "k_proj", "v_proj", "out_proj"))
                layers.put("transformer.h." + i + ".attn." + p, new Linear(4096, 4096, false));
            layers.put("transformer.h." + i + ".mlp.fc_in", new Linear(4096, 16384, true));
            layers.put("transformer.h." + i + ".mlp.fc_out", new Linear(16384, 4096, true));
        }
        return Toy.of(layers);
    }

    @Test
    void bloomzAndGptJ() {
        Toy bloom = bloomz7b1();
        Toy gptj = gptj6b();
        assertThat(count(bloom, "bloom", Bottleneck.DEFAULT)).isEqualTo(125_829_120);
        assertThat(count(bloom, "bloom", Bottleneck.AFTER_MLP)).isEqualTo(62_914_560);
        assertThat(count(bloom, "bloom", Bottleneck.PARALLEL)).isEqualTo(125_829_120);
        assertThat(count(bloom, "bloom", Lora.DEFAULT)).isEqualTo(3_932_160);
        assertThat(Graft.plan(bloom, Lora.of(32, 64, "query_key_value", "dense_h_to_4h", "dense_4h_to_h")).count()).isEqualTo(55_050_240);
        assertThat(Graft.plan(bloom, Bottleneck.PARALLEL.with("target_modules", List.of("dense_h_to_4h", "dense_4h_to_h"))).count())
                .isEqualTo(314_572_800);
        assertThat(count(gptj, "gptj", Bottleneck.DEFAULT)).isEqualTo(117_440_512);
        assertThat(count(gptj, "gptj", Bottleneck.AFTER_MLP)).isEqualTo(58_720_256);
        assertThat(count(gptj, "gptj", Bottleneck.PARALLEL)).isEqualTo(176_160_768);
        assertThat(count(gptj, "gptj", Lora.DEFAULT)).isEqualTo(3_670_016);
        assertThat(Graft.plan(gptj, Lora.of(32, 64, "q_proj", "k_proj", "v_proj", "fc_in", "fc_out")).count()).isEqualTo(58_720_256);
        assertThat(Graft.plan(gptj, Bottleneck.PARALLEL.with("target_modules", List.of("fc_in", "fc_out"))).count()).isEqualTo(293_601_280);
    }

    private static long count(Toy model, String modelType, Adapter adapter) {
        return Graft.plan(model, adapter.with("target_modules", adapter.defaultTargets(modelType))).count();
    }

    @Test
    void printsAsPeftDoes() {
        assertThat(new Counts(4_194_304, 6_742_609_920L))
                .hasToString("trainable params: 4,194,304 || all params: 6,742,609,920 || trainable%: 0.0622");
    }
}
