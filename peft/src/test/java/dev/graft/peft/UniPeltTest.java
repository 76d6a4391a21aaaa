package dev.graft.peft;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.graft.models.CausalLm;
import dev.graft.models.GoldenTensors;
import dev.graft.models.Inputs;
import dev.graft.models.generate.Session;
import dev.graft.nn.LayerHook;
import dev.graft.nn.Linear;
import dev.graft.nn.Parameter;
import dev.graft.nn.Weight;
import dev.graft.tensor.DType;
import dev.graft.tensor.Scope;
import dev.graft.tensor.Tensor;
import dev.graft.tensor.TensorException;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;

/// UniPELT against its parts, which goldens judge, and its gates against loops.
class UniPeltTest {
    private static final int C = 20, R = 3, N = 2;
    private static final Adapter SMALL = Adapters.of("unipelt", Map.of("num_virtual_tokens", N, "prefix_projection", false, "r", R,
            "reduction_factor", 4));

    private static final int[][] IDS = {{3, 1, 4, 1, 5, 9, 2}, {0, 0, 6, 5, 3, 5, 8}, {9, 7, 9, 3, 2, 0, 0}};
    private static final int[][] MASK = {{1, 1, 1, 1, 1, 1, 1}, {0, 0, 1, 1, 1, 1, 1}, {1, 1, 1, 1, 1, 0, 0}};
    private static final int[] PROMPTS = {5, 2, 4};
    private static final boolean[][] PROMPTED = {{true, true, true, true, true, false, false},
            {false, false, true, true, false, false, false},
            {true, true, true, true, false, false, false}};

    @TestFactory
    Stream<DynamicTest> withGatesThatAreOneNumberItIsItsPartsAtThatStrength() {
        Map<String, Supplier<CausalLm>> models = Map.of("llama", Tiny::llama, "bloom", Tiny::bloom, "gptj", Tiny::gptj);
        return models.entrySet().stream().flatMap(m -> Stream.of(1.0, 0.5).map(g -> DynamicTest.dynamicTest(m.getKey() + ", " + g, () -> {
            try (CausalLm model = m.getValue().get(); Peft peft = Peft.of(model); var _ = Scope.open()) {
                Graft whole = peft.add("unipelt", SMALL, 4);
                whole.parameters().forEach(p -> {
                    if (p.name().contains("gate.") || p.name().contains("_gate.")) set(p, p.name().endsWith("bias") && g == 1 ? 40 : 0);
                    else set(p, Tensor.randn(DType.F32, p.shape(), p.name().hashCode()).mul(0.3));
                });
                peft.use("unipelt");
                float[] got = model.logits(Inputs.of(IDS, MASK, PROMPTS)).toFloats();

                Graft lora = peft.add("lora", Adapters.of("lora", Map.of("r", R, "lora_alpha", R * g)), 1);
                Graft bottleneck = peft.add("bottleneck", Adapters.of("houlsby", Map.of("reduction_factor", 4, "non_linearity", "relu",
                        "scaling", g, "target_modules", List.of("mlp"))), 1);
                Graft prefix = peft.add("prefix", Adapters.of("prefix", Map.of("num_virtual_tokens", N)), 1);
                for (Graft part : List.of(lora, bottleneck, prefix))
                    part.saved().forEach((key, p) -> set(p, whole.saved().get(key).value()));
                prefix.parameters().forEach(p -> set(p, p.value().mul(g)));
                peft.use("lora", "bottleneck", "prefix");
                GoldenTensors.check("parts", got, model.logits(Inputs.of(IDS, MASK, PROMPTS)).toFloats(), 1e-5);
            }
        })));
    }

    @Test
    void aGateIsTheMeanOverThePrompt() {
        try (CausalLm model = Tiny.llama(); Peft peft = Peft.attach(model, SMALL, 4); var _ = Scope.open()) {
            Linear q = model.modules(Linear.class).filter(l -> l.path().equals("model.layers.0.self_attn.q_proj")).findFirst()
                    .orElseThrow();
            Graft graft = peft.adapter(Peft.DEFAULT);
            String path = q.path();
            Stream.of("lora_B.weight", "gate.weight", "gate.bias").map(n -> graft.parameter(path + "." + n))
                    .forEach(p -> set(p, Tensor.randn(DType.F32, p.shape(), p.name().hashCode())));
            float[][] seen = new float[2][];
            LayerHook spy = (x, next) -> {
                seen[0] = x.toFloats();
                Tensor y = next.apply(x);
                seen[1] = y.toFloats();
                return y;
            };
            q.attach(spy);
            model.hidden(Inputs.of(IDS, MASK, PROMPTS), null);
            float[] x = seen[0], w = values(q.weight()), bias = values(q.bias()), a = values(graft.parameter(path + ".lora_A.weight")),
                    b = values(graft.parameter(path + ".lora_B.weight")), gate = values(graft.parameter(path + ".gate.weight")),
                    c = values(graft.parameter(path + ".gate.bias"));
            float[] expected = new float[seen[1].length];
            for (int row = 0; row < 3; row++) {
                double sum = 0;
                for (int t = 0; t < 7; t++) {
                    if (PROMPTED[row][t]) sum += 1 / (1 + Math.exp(-dot(gate, 0, x, (row * 7 + t) * C) - c[0]));
                }
                double g = sum / PROMPTS[row];
                for (int t = 0; t < 7; t++) {
                    for (int o = 0; o < C; o++) {
                        double y = bias[o] + dot(w, o * C, x, (row * 7 + t) * C);
                        for (int i = 0; i < R; i++) y += g * b[o * R + i] * dot(a, i * C, x, (row * 7 + t) * C);
                        expected[(row * 7 + t) * C + o] = (float) y;
                    }
                }
            }
            GoldenTensors.check("gated", seen[1], expected, 1e-5);
        }
    }

    /// Beams share a prompt, rows end at different times: what the gates were stays with its row.
    @Test
    void gatesStayWithTheirRows() {
        int[] a = {3, 1, 4, 1, 5}, b = {6, 5}, c = {9, 7, 9};
        try (CausalLm model = Tiny.llama(); Peft peft = Peft.attach(model, SMALL, 4)) {
            try (var _ = Scope.open()) {
                peft.parameters().forEach(p -> set(p, Tensor.randn(DType.F32, p.shape(), p.name().hashCode())));
            }
            try (Session session = model.open(List.of(a, b, c), 4)) {
                session.advance(new int[] {2, 7, 8});
                session.reorder(new int[] {2, 0, 0});
                session.advance(new int[] {1, 6, 7});
                float[][] got = session.logits();
                int[][] texts = {{9, 7, 9, 8, 1}, {3, 1, 4, 1, 5, 2, 6}, {3, 1, 4, 1, 5, 2, 7}}, prompts = {c, a, a};
                for (int row = 0; row < 3; row++) {
                    int[] text = texts[row];
                    try (var _ = Scope.open()) {
                        float[] all = model.logits(Inputs.of(new int[][] {text}, null, new int[] {prompts[row].length})).toFloats();
                        GoldenTensors.check("row " + row, got[row], Arrays.copyOfRange(all, all.length - 29, all.length), 1e-4);
                    }
                }
            }
        }
    }

    @Test
    void aPromptReadWithoutTheAdapterHasNoGates() {
        try (CausalLm model = Tiny.llama(); Peft peft = Peft.attach(model, SMALL.with("target_modules", List.of("q_proj")), 4)) {
            peft.enabled(false);
            try (Session session = model.open(List.of(new int[] {3, 1, 4}), 4)) {
                peft.enabled(true);
                assertThatThrownBy(() -> session.advance(new int[] {1})).isInstanceOf(TensorException.class)
                        .hasMessageContaining("read them again");
            }
        }
    }

    @Test
    void placesAreItsParts() {
        try (CausalLm model = Tiny.bloom()) {
            assertThat(Graft.plan(model, SMALL.with("target_modules", "attention")).places())
                    .containsExactly("transformer.h.0.self_attention.query_key_value", "transformer.h.1.self_attention.query_key_value");
            assertThat(Graft.plan(model, SMALL.with("target_modules", "mlp")).places())
                    .containsExactly("transformer.h.0.mlp", "transformer.h.1.mlp");
        }
    }

    private static double dot(float[] a, int i, float[] b, int j) {
        double sum = 0;
        for (int k = 0; k < C; k++) sum += (double) a[i + k] * b[j + k];
        return sum;
    }

    private static float[] values(Parameter p) {
        return p.value().toFloats();
    }

    private static void set(Parameter p, double value) {
        set(p, Tensor.full(p.value().spec(), value));
    }

    private static void set(Parameter p, Tensor values) {
        try (var _ = Scope.untracked()) {
            p.fill(new Weight.Dense(values.copy()));
        }
    }
}
