package dev.graft.peft;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.graft.models.Block;
import dev.graft.models.CausalLm;
import dev.graft.models.Inputs;
import dev.graft.nn.LayerHook;
import dev.graft.nn.Linear;
import dev.graft.nn.Parameter;
import dev.graft.peft.method.BitFit;
import dev.graft.peft.method.Compacter;
import dev.graft.peft.method.HubBottleneck;
import dev.graft.tensor.Backends;
import dev.graft.tensor.DType;
import dev.graft.tensor.Scope;
import dev.graft.tensor.Tensor;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;

/// Bottlenecks of AdapterHub, Compacter and BitFit against loops over numbers, and the places they go to.
class HubBottleneckTest {
    private static final int IN = 10, OUT = 6;
    private static final Adapter SMALL = HubBottleneck.HOULSBY.with("reduction_factor", 2).with("scaling", 1.7).with("target_modules",
            "any");

    @TestFactory
    Stream<DynamicTest> everyOptionComputesWhatItsFormulaSays() {
        return Stream.of(SMALL, SMALL.with("ln_before", true), SMALL.with("ln_after", true), SMALL.with("scaling", "learned"),
                SMALL.with("ln_after", true).with("adapter_residual_before_ln", true), SMALL.with("is_parallel", true),
                SMALL.with("is_parallel", true).with("ln_before", true).with("ln_after", true), SMALL.with("bottleneck_size", 7),
                SMALL.with("non_linearity", "relu").with("ln_before", true).with("ln_after", true))
                .map(a -> DynamicTest.dynamicTest(a.fields().toString(), () -> checkBottleneck((HubBottleneck) a)));
    }

    private static void checkBottleneck(HubBottleneck adapter) {
        run(adapter, (layer, p, x) -> {
            double[] o = plain(layer, x), at = adapter.isParallel() ? x : o;
            double[] h = adapter.lnBefore() ? norm(at, p.get("adapter_norm_before.weight"), p.get("adapter_norm_before.bias")) : at;
            double[] a = times(p.get("adapter_down.weight"), h, p.get("adapter_down.bias"));
            for (int i = 0; i < a.length; i++)
                a[i] = adapter.nonLinearity().equals("relu") ? Math.max(0, a[i]) : a[i] / (1 + Math.exp(-a[i]));
            double[] f = times(p.get("adapter_up.weight"), a, p.get("adapter_up.bias"));
            double s = adapter.scaling().learned() ? p.get("adapter_scaling")[0] : 1.7;
            for (int i = 0; i < f.length; i++) f[i] *= s;
            boolean late = adapter.adapterResidualBeforeLn();
            double[] sum = late ? sum(o, f) : f;
            double[] normed = adapter.lnAfter() ? norm(sum, p.get("adapter_norm_after.weight"), p.get("adapter_norm_after.bias")) : sum;
            return late ? normed : sum(o, normed);
        });
    }

    @Test
    void compacterIsASumOfKroneckerProducts() {
        Adapter compacter = Compacter.DEFAULT.with("phm_dim", 2).with("phm_rank", 3).with("reduction_factor", 1.5)
                .with("non_linearity", "tanh").with("target_modules", "any");
        run(compacter, (layer, p, x) -> {
            double[] o = plain(layer, x);
            double[] a = hypercomplex(o, 4, "adapter_down", p);
            for (int i = 0; i < a.length; i++) a[i] = Math.tanh(a[i]);
            return sum(o, hypercomplex(a, OUT, "adapter_up", p));
        });
    }

    /// `x W + b`, W element by element: `W[a n + c, d q + e] = Σᵢ A[i, a, d] Σᵣ s[i, c, r] t[i, r, e]`.
    private static double[] hypercomplex(double[] x, int out, String name, Map<String, double[]> p) {
        int k = 2, r = 3, n = x.length / k, q = out / k;
        double[] rule = p.get("phm_rule"), s = p.get(name + ".W_left"), t = p.get(name + ".W_right"), y = p.get(name + ".b").clone();
        for (int row = 0; row < x.length; row++)
            for (int column = 0; column < out; column++)
                for (int i = 0; i < k; i++)
                    for (int j = 0; j < r; j++)
                        y[column] += x[row] * rule[(i * k + row / n) * k + column / q]
                                * s[(i * n + row % n) * r + j] * t[(i * r + j) * q + column % q];
        return y;
    }

    @Test
    void compacterSharesItsRuleAndSaysWhatDoesNotDivide() {
        try (CausalLm model = Tiny.llama();
                Peft peft = Peft.attach(model, Adapters.of("compacter", Map.of("phm_dim", 2, "reduction_factor", 5)))) {
            assertThat(peft.adapter(Peft.DEFAULT).saved().keySet()).contains("base_model.phm_rule",
                    "base_model.model.model.layers.1.mlp.adapter_up.W_left").hasSize(4 * 6 + 1);
        }
        try (CausalLm model = Tiny.llama()) {
            assertThatThrownBy(() -> Graft.plan(model, Adapters.of("compacter", Map.of("phm_dim", 3))))
                    .hasMessageContaining("at 'model.layers.0.self_attn' they are 20 and 0, and it is 3");
        }
    }

    // ---- BitFit ----

    @Test
    void aBiasIsTrainedWhereThereIsOneAndAddedWhereThatIsAsked() {
        try (CausalLm model = Tiny.gptj()) {
            assertThat(Graft.plan(model, BitFit.DEFAULT.with("target_modules", "all-linear")).saved().keySet()).hasSize(4)
                    .allMatch(key -> key.matches("base_model\\.model\\.transformer\\.h\\.[01]\\.mlp\\.fc_(in|out)\\.bias"));
            assertThat(Graft.plan(model, BitFit.DEFAULT.with("target_modules", "all-linear").with("add_bias", true)).saved()).hasSize(12);
            assertThatThrownBy(() -> Graft.plan(model, BitFit.DEFAULT.with("target_modules", ".*[kv]_proj")))
                    .isInstanceOf(AdapterException.class)
                    .hasMessage("none of the targets has a bias to train, 'transformer.h.0.attn.k_proj' being the first; "
                            + "name other target_modules, or set add_bias to give linear layers one");
        }
        try (CausalLm model = Tiny.llama(Map.of("attention_bias", false))) {
            assertThatThrownBy(() -> Graft.plan(model, BitFit.DEFAULT)).hasMessageContaining("none of the targets has a bias to train");
            float[] base = Tiny.logits(model);
            try (Peft peft = Peft.attach(model, BitFit.DEFAULT.with("add_bias", true))) {
                assertThat(Tiny.logits(model)).isEqualTo(base);
                Tiny.train(model, peft, 2, 0.1);
                assertThat(Tiny.logits(model)).isNotEqualTo(base);
                assertThatThrownBy(peft::merge).hasMessageContaining("the adapter adds a bias and the layer has none");
            }
        }
    }

    @Test
    void anAddedBiasIsAdded() {
        try (var _ = Scope.open(Backends.named("reference")); Toy toy = Toy.linear("any", 2, 3, false)) {
            Toy.fill(toy.linear("any").weight(), 1, 2, 3, 4, 5, 6);
            try (Peft peft = Peft.attach(toy, new BitFit(true, Targets.of("any")))) {
                Toy.fill(peft.parameters().getFirst(), 0.5, -1, 2);
                assertThat(toy.linear("any").forward(Tensor.of(new double[] {1, 10}, 1, 2)).toDoubles()).containsExactly(21.5, 42, 67);
            }
        }
    }

    // ---- places ----

    @Test
    void onABlockItReadsTheStreamAndOnASublayerWhatThatGives() {
        try (CausalLm model = Tiny.llama()) {
            Adapter blocks = HubBottleneck.PFEIFFER.with("bottleneck_size", 2);
            assertThat(Graft.plan(model, blocks).places()).containsExactly("model.layers.0", "model.layers.1");
            assertThat(Graft.plan(model, blocks.with("layers_to_transform", 1)).places()).containsExactly("model.layers.1");
            assertThat(Graft.plan(model, blocks.with("target_modules", ".*layers\\.0")).places()).containsExactly("model.layers.0");
            assertThat(Graft.plan(model, HubBottleneck.HOULSBY).places()).containsExactly("model.layers.0.self_attn", "model.layers.0.mlp",
                    "model.layers.1.self_attn", "model.layers.1.mlp");
            assertThat(Graft.plan(model, HubBottleneck.PARALLEL.with("target_modules", "attention")).places())
                    .containsExactly("model.layers.0.self_attn", "model.layers.1.self_attn");
            assertThat(Graft.plan(model, HubBottleneck.PARALLEL).places()).containsExactly("model.layers.0.mlp", "model.layers.1.mlp");
            assertThatThrownBy(() -> Graft.plan(model, HubBottleneck.HOULSBY.with("target_modules", ".*\\.norm")))
                    .hasMessageContaining("'model.norm' is no linear layer and has none");
            assertThatThrownBy(() -> Graft.plan(model, Adapters.of("lora", Map.of("target_modules", "all-blocks"))))
                    .hasMessageContaining("cannot adapt 'model.layers.0', which is a LlamaBlock");
        }
    }

    /// What surrounds a block sees its input and output, and which pass it is in, also when the block runs again in the backward pass.
    @Test
    void aBlockIsALayer() {
        for (CausalLm made : new CausalLm[] {Tiny.llama(), Tiny.bloom(), Tiny.gptj()}) {
            try (CausalLm model = made; var _ = Scope.open()) {
                float[] before = Tiny.logits(model);
                Block last = model.blocks().getLast();
                LayerHook silence = (x, next) -> next.apply(x).sub(next.apply(x)).add(x);
                last.attach(silence);
                Inputs in = Inputs.of(Tiny.IDS, Tiny.MASK);
                assertThat(Tiny.logits(model)).isNotEqualTo(before);
                var states = model.hiddenStates(in);
                float[] skipped = model.norm().forward(states.get(1)).toFloats();
                dev.graft.models.GoldenTensors.check("skipped", model.hidden(in, null).toFloats(), skipped, 1e-6);
                last.detach(silence);
                assertThat(Tiny.logits(model)).isEqualTo(before);
            }
        }
    }

    @Test
    void optionsThatMakeNoSenseAreRefused() {
        assertThatThrownBy(() -> SMALL.with("reduction_factor", 0)).hasMessageContaining("reduction_factor must be above 0");
        assertThatThrownBy(() -> SMALL.with("bottleneck_size", -1)).hasMessageContaining("bottleneck_size must be at least 1");
        assertThatThrownBy(() -> SMALL.with("adapter_residual_before_ln", true)).hasMessageContaining("with ln_after");
        assertThatThrownBy(() -> SMALL.with("init_weights", "zeros")).hasMessageContaining("\"houlsby\" or \"mam_adapter\", got \"zeros\"");
        assertThatThrownBy(() -> SMALL.with("non_linearity", "soft")).hasMessageContaining("'soft' is not known");
    }

    @Test
    void houlsbysStartHasNothingBeyondTwoDeviations() {
        try (var _ = Scope.open();
                Toy toy = Toy.linear("any", 60, 50, false).filled(DType.F32);
                Peft peft = Peft.attach(toy, SMALL.with("init_weights", "houlsby"))) {
            double[] values = peft.parameters().getFirst().value().toDoubles();
            assertThat(Arrays.stream(values).map(Math::abs).max().orElseThrow()).isBetween(0.0195, 0.02);
            double deviation = Math.sqrt(Arrays.stream(values).map(v -> v * v).average().orElseThrow());
            assertThat(deviation).isCloseTo(0.0088, within(0.0004));                    // a normal one cut at two deviations has 0.88
        }
    }

    // ---- loops ----

    private interface Expected {
        double[] of(Linear layer, Map<String, double[]> parameters, double[] x);
    }

    /// The adapted layer on random numbers in double precision, beside what is expected of it.
    private static void run(Adapter adapter, Expected expected) {
        try (var _ = Scope.open(Backends.named("reference"));
                Toy toy = Toy.linear("any", IN, OUT, true).filled(DType.F64);
                Peft peft = Peft.attach(toy, adapter)) {
            Map<String, double[]> values = new HashMap<>();
            peft.adapter(Peft.DEFAULT).saved().forEach((key, p) -> {
                fill(p);
                values.put(key.replaceFirst("^base_model\\.(model\\.any\\.)?", ""), p.value().toDoubles());
            });
            Tensor x = Tensor.randn(DType.F64, dev.graft.tensor.Shape.of(3, IN), 5);
            double[] got = toy.linear("any").forward(x).toDoubles();
            for (int row = 0; row < 3; row++) {
                double[] one = Arrays.copyOfRange(x.toDoubles(), row * IN, (row + 1) * IN);
                assertThat(Arrays.copyOfRange(got, row * OUT, (row + 1) * OUT))
                        .containsExactly(expected.of(toy.linear("any"), values, one), within(1e-9));
            }
        }
    }

    private static void fill(Parameter p) {
        p.value().assign(Tensor.randn(DType.F64, p.shape(), p.name().hashCode()));
    }

    private static double[] plain(Linear layer, double[] x) {
        return times(layer.weight().value().toDoubles(), x, layer.bias().value().toDoubles());
    }

    private static double[] times(double[] w, double[] x, double[] b) {
        double[] y = b.clone();
        for (int i = 0; i < w.length; i++) y[i / x.length] += w[i] * x[i % x.length];
        return y;
    }

    private static double[] sum(double[] a, double[] b) {
        double[] y = a.clone();
        for (int i = 0; i < y.length; i++) y[i] += b[i];
        return y;
    }

    private static double[] norm(double[] x, double[] weight, double[] bias) {
        double mean = Arrays.stream(x).average().orElseThrow();
        double variance = Arrays.stream(x).map(v -> (v - mean) * (v - mean)).average().orElseThrow();
        double[] y = bias.clone();
        for (int i = 0; i < y.length; i++) y[i] += weight[i] * (x[i] - mean) / Math.sqrt(variance + 1e-5);
        return y;
    }
}
