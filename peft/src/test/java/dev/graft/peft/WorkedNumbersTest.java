package dev.graft.peft;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.graft.nn.Linear;
import dev.graft.nn.Parameter;
import dev.graft.peft.method.Bottleneck;
import dev.graft.peft.method.Lora;
import dev.graft.tensor.Backends;
import dev.graft.tensor.DType;
import dev.graft.tensor.GradCheck;
import dev.graft.tensor.Grads;
import dev.graft.tensor.Scope;
import dev.graft.tensor.Shape;
import dev.graft.tensor.Tape;
import dev.graft.tensor.Tensor;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// Adapters on one small layer in double precision: numbers worked out by hand, and gradients against central differences.
class WorkedNumbersTest {
    private static final double[] D3 = {0.1, 0.2, -0.3, 0.4, 0, 0.1};
    private static final Adapter SERIES = Bottleneck.DEFAULT.with("bottleneck_size", 2).with("scaling", 2);

    @Test
    void seriesBefore() {
        assertThat(output("gate_proj", SERIES.with("target_modules", "gate_proj"), D3, new double[] {0.5, -0.2, 0.3, 0.1, -0.4, 0.6}))
                .containsExactly(new double[] {1.3587074, -2.0735588}, within(1e-6));
    }

    @Test
    void seriesAfter() {
        assertThat(output("down_proj", SERIES.with("target_modules", "down_proj"), new double[] {0.7, -0.1, 0.2, 0.5},
                new double[] {0.3, 0.4, -0.2, 0.1}))
                .containsExactly(new double[] {1.1472336, -1.8874352}, within(1e-6));
    }

    @Test
    void parallel() {
        Adapter parallel = SERIES.with("use_parallel_adapter", true).with("target_modules", "any");
        assertThat(output("any", parallel, D3, new double[] {0.25, -0.5, 0.1, 0.6})).containsExactly(new double[] {0.4024766, -1.1710910},
                within(1e-6));
    }

    @Test
    void lora() {
        assertThat(output("any", Lora.of(1, 4, "any"), new double[] {0.1, -0.2, 0.3}, new double[] {0.5, -1})).containsExactly(
                new double[] {2.8, -4.9},
                within(1e-6));
    }

    @Test
    void rankStabilisedLora() {
        Adapter rs = Lora.of(2, 4, "any").with("use_rslora", true);                        // s = 4/√2: half of both products, times √2
        double[] a = {0.1, -0.2, 0.3, 0.1, -0.2, 0.3};
        double[] b = {0.25, 0.25, -0.5, -0.5};
        assertThat(output("any", rs, a, b)).containsExactly(new double[] {1.1 + 1.7 / Math.sqrt(2), -1.5 - 3.4 / Math.sqrt(2)},
                within(1e-6));
    }

    /// On `W x + c = [1.1, −1.5]` of the worked example.
    private static double[] output(String path, Adapter adapter, double[] first, double[] second) {
        try (var _ = Scope.open(Backends.named("reference")); Toy toy = Toy.linear(path, 3, 2, true)) {
            Toy.fill(toy.linear(path).weight(), 0.2, -0.1, 0.4, 0, 0.3, -0.5);
            Toy.fill(toy.linear(path).bias(), 0.1, -0.2);
            try (Peft peft = Peft.attach(toy, adapter)) {
                List<Parameter> parameters = peft.parameters();
                Toy.fill(parameters.get(0), first);
                Toy.fill(parameters.get(1), second);
                return toy.linear(path).forward(Tensor.of(new double[] {0.5, -1, 2}, 1, 3)).toDoubles();
            }
        }
    }

    /// road_4 holds, group after group, what its cosines are made of and then what its sines are made of, as PEFT's file does.
    @Test
    void roadWithFourNumbersAPair() {
        Adapter road = Adapters.of("road", Map.of("variant", "road_4", "group_size", 2));
        double quarter = Math.PI / 2;
        assertThat(unchanged(road, new double[] {1, 2, 3, 4}, new double[] {0, 0, quarter, quarter, 0, 0, quarter, quarter},
                new double[] {2, 3, 5, 7, 11, 13, 17, 19}))
                .containsExactly(new double[] {2 - 2 * 5, 2 * 3 + 7, 3 * 11 - 4 * 17, 4 * 13 + 3 * 19}, within(1e-9));
    }

    /// With Q = [[0, q], [−q, 0]], q = 1/2: Q² = −I/4. PEFT takes 3 terms for 4.
    @Test
    void termsOfOft() {
        for (var expected : Map.of(2, new double[] {-1, 3}, 3, new double[] {-1.25, 1.875}, 4, new double[] {-1.25, 1.875},
                5, new double[] {-0.9375, 1.875}).entrySet()) {
            Adapter oft = Adapters.of("oft", Map.of("oft_block_size", 2, "num_cayley_neumann_terms", expected.getKey()));
            assertThat(unchanged(oft, new double[] {1, 2}, new double[] {0.5})).as(expected.getKey() + " terms")
                    .containsExactly(expected.getValue(), within(1e-9));
        }
    }

    /// On a layer that gives its input back.
    private static double[] unchanged(Adapter adapter, double[] x, double[]... parameters) {
        double[] identity = new double[x.length * x.length];
        for (int i = 0; i < x.length; i++) identity[i * x.length + i] = 1;
        try (var _ = Scope.open(Backends.named("reference")); Toy toy = Toy.linear("any", x.length, x.length, false)) {
            Toy.fill(toy.linear("any").weight(), identity);
            try (Peft peft = Peft.attach(toy, adapter.with("target_modules", "any"))) {
                for (int i = 0; i < parameters.length; i++) Toy.fill(peft.parameters().get(i), parameters[i]);
                return toy.linear("any").forward(Tensor.of(x, 1, x.length)).toDoubles();
            }
        }
    }

    // ---- gradients ----

    private record Case(String name, String layer, Adapter adapter) {
    }

    @TestFactory
    Stream<DynamicTest> everyGradientAgreesWithCentralDifferences() {
        Adapter small = Bottleneck.DEFAULT.with("bottleneck_size", 3).with("scaling", 1.7);
        Adapter parallel = small.with("use_parallel_adapter", true);
        return Stream
                .of(new Case("series before", "up_proj", small), new Case("series after", "down_proj", small),
                        new Case("parallel", "q_proj", parallel),
                        new Case("series before, learned scale", "up_proj", small.with("scaling", "learned")),
                        new Case("series after, learned scale", "down_proj", small.with("scaling", "learned")),
                        new Case("parallel, learned scale", "q_proj", parallel.with("scaling", "learned")),
                        new Case("LoRA", "q_proj", Lora.of(3, 5)),
                        new Case("LoRA with bias", "q_proj", Lora.of(3, 5).with("lora_bias", true)),
                        new Case("LoRA on the rest of the SVD", "q_proj", Lora.of(3, 5).with("init_lora_weights", "pissa")))
                .map(c -> DynamicTest.dynamicTest(c.name, () -> checkGradients(c.layer, c.adapter.with("target_modules", c.layer))));
    }

    @ParameterizedTest
    @ValueSource(strings = {"relu", "gelu", "gelu_new", "silu", "swish", "sigmoid", "tanh", "mish", "relu6", "linear", "quick_gelu",
            "gelu_fast", "gelu_python",
            "gelu_10"})
    void everyNonLinearityHasItsGradient(String sigma) {
        checkGradients("down_proj",
                Bottleneck.DEFAULT.with("bottleneck_size", 5).with("non_linearity", sigma).with("target_modules", "down_proj"));
    }

    /// `L = Σ r ⊙ y`, r random, by the parameters and by the input.
    private static void checkGradients(String path, Adapter adapter) {
        try (var _ = Scope.open(Backends.named("reference"));
                Toy toy = Toy.linear(path, 5, 4, true).filled(DType.F64);
                Peft peft = Peft.attach(toy, adapter)) {
            Linear layer = toy.linear(path);
            for (Parameter p : peft.parameters()) p.value().assign(Tensor.randn(DType.F64, p.shape(), p.name().hashCode()));
            Tensor input = Tensor.randn(DType.F64, Shape.of(2, 3, 5), 1);
            GradCheck.check(adapter.peftType(), in -> layer.forward(in.getFirst()), input);
            try (Tape tape = Tape.open(); Grads grads = tape.backward(loss(layer, input))) {
                for (Parameter p : peft.parameters()) {
                    double[] values = p.value().toDoubles();
                    double[] got = grads.of(p).toDoubles();
                    for (int i = 0; i < values.length; i++) {
                        double expected = (shifted(layer, input, p, values, i, 1e-5) - shifted(layer, input, p, values, i, -1e-5)) / 2e-5;
                        assertThat(got[i]).as("%s[%d]", p.name(), i).isCloseTo(expected, within(1e-7 * Math.max(1, Math.abs(expected))));
                    }
                }
            }
        }
    }

    private static double shifted(Linear layer, Tensor input, Parameter p, double[] values, int element, double by) {
        try (var _ = Scope.untracked()) {
            double[] moved = values.clone();
            moved[element] += by;
            p.value().assign(Tensor.of(moved, p.shape().dims()));
            double loss = loss(layer, input).item();
            p.value().assign(Tensor.of(values, p.shape().dims()));
            return loss;
        }
    }

    private static Tensor loss(Linear layer, Tensor input) {
        Tensor y = layer.forward(input);
        return y.mul(Tensor.randn(y.dtype(), y.shape(), 7)).sum();
    }

    @Test
    void nonLinearitiesHaveTheirValues() {
        double x = 1.3;
        double sigma = 1 / (1 + Math.exp(-x));
        Map<String, Double> expected = Map.ofEntries(Map.entry("relu", 1.3), Map.entry("gelu", 1.1741595),
                Map.entry("gelu_python", 1.1741595),
                Map.entry("gelu_10", 1.1741595), Map.entry("gelu_new", gelu(x)), Map.entry("gelu_fast", gelu(x)),
                Map.entry("silu", x * sigma),
                Map.entry("swish", x * sigma), Map.entry("sigmoid", sigma), Map.entry("tanh", Math.tanh(x)),
                Map.entry("mish", x * Math.tanh(Math.log1p(Math.exp(x)))), Map.entry("relu6", 1.3), Map.entry("linear", 1.3),
                Map.entry("quick_gelu", x / (1 + Math.exp(-1.702 * x))));
        expected.forEach((name, value) -> assertThat(applied(name, x)).as(name).isCloseTo(value, within(1e-6)));
        assertThat(applied("relu6", 7.5)).isEqualTo(6);
        assertThat(applied("relu6", -1)).isEqualTo(0);
        assertThat(applied("gelu_10", 12)).isEqualTo(10);
        assertThat(applied("gelu", 12)).isEqualTo(12);
    }

    private static double gelu(double x) {
        return 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x * x * x)));
    }

    /// Through a parallel adapter around a layer of zeros, both of whose matrices are one number, 1.
    private static double applied(String name, double x) {
        Adapter adapter = Bottleneck.PARALLEL.with("bottleneck_size", 1).with("non_linearity", name).with("target_modules", "any");
        try (var _ = Scope.open(Backends.named("reference")); Toy toy = Toy.linear("any", 1, 1, false)) {
            Toy.fill(toy.linear("any").weight(), 0);
            try (Peft peft = Peft.attach(toy, adapter)) {
                peft.parameters().forEach(p -> Toy.fill(p, 1));
                return toy.linear("any").forward(Tensor.of(new double[] {x}, 1, 1)).item();
            }
        }
    }
}
