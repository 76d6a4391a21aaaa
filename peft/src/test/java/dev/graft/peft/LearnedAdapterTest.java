package dev.graft.peft;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.graft.models.CausalLm;
import dev.graft.models.GoldenTensors;
import dev.graft.models.Inputs;
import dev.graft.nn.Layer;
import dev.graft.nn.LayerHook;
import dev.graft.nn.Parameter;
import dev.graft.peft.train.CausalLoss;
import dev.graft.peft.train.Example;
import dev.graft.peft.train.TrainConfig;
import dev.graft.peft.train.Trainer;
import dev.graft.tensor.DType;
import dev.graft.tensor.Scope;
import dev.graft.tensor.Tensor;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.function.DoubleUnaryOperator;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// Learned-Adapter against loops, while it searches and once it has found.
class LearnedAdapterTest {
    private static final int C = 20, M = 3;
    private static final Adapter SEARCH = Adapters.of("learned-adapter",
            Map.of("bottleneck_size", M, "candidates", List.of("relu", "tanh", "linear")));
    private static final List<DoubleUnaryOperator> SIGMAS = List.of(x -> Math.max(x, 0), Math::tanh, x -> x);
    private static final int[][] IDS = {{3, 1, 4, 1, 5}, {9, 2, 6, 5, 3}};

    private static void stir(Peft peft, double by) {
        try (var _ = Scope.untracked()) {
            peft.parameters()
                    .forEach(p -> p.value().assign(p.value().add(Tensor.randn(DType.F32, p.shape(), p.name().hashCode()).mul(by))));
        }
    }

    /// What goes into a layer and comes out of it, inside the adapter and outside.
    private record Seen(List<float[]> in, List<float[]> bare, List<float[]> out) {
    }

    private static Seen spy(CausalLm model, Adapter adapter, String sublayer, Map<String, float[]> values) {
        Seen seen = new Seen(new ArrayList<>(), new ArrayList<>(), new ArrayList<>());
        Layer layer = model.modules(Layer.class).filter(l -> l.path().endsWith("0." + sublayer)).findFirst().orElseThrow();
        LayerHook inside = (x, next) -> {
            Tensor y = next.apply(x);
            seen.in.add(x.toFloats());
            seen.bare.add(y.toFloats());
            return y;
        };
        layer.attach(inside);
        try (Peft peft = Peft.attach(model, adapter, 3); var _ = Scope.open()) {
            stir(peft, 0.4);
            LayerHook outside = (x, next) -> {
                Tensor y = next.apply(x);
                seen.out.add(y.toFloats());
                return y;
            };
            layer.attach(outside);
            model.hidden(Inputs.of(IDS), null);
            for (Parameter p : peft.parameters())
                values.put(p.name().substring(p.name().lastIndexOf(".learned.") + 9), p.value().toFloats());
            layer.detach(outside);
        } finally {
            layer.detach(inside);
        }
        return seen;
    }

    private static double[] softmax(float[] scores) {
        double[] e = IntStream.range(0, scores.length).mapToDouble(i -> Math.exp(scores[i])).toArray();
        double sum = IntStream.range(0, e.length).mapToDouble(i -> e[i]).sum();
        return IntStream.range(0, e.length).mapToDouble(i -> e[i] / sum).toArray();
    }

    /// U (ε₁ a + ε₂ E a) + u of one token.
    private static double[] branch(float[] x, float[] o, int token, double[] wiring, double[] activation, double[] encoder,
            Map<String, float[]> values,
            String place) {
        float[] d = values.get(place + ".down.weight"), db = values.get(place + ".down.bias"), e = values.get(place + ".encode.weight"),
                u = values.get(place + ".up.weight"), ub = values.get(place + ".up.bias");
        double[] a = new double[M], y = new double[C];
        for (int i = 0; i < M; i++) {
            double z = db[i];
            for (int j = 0; j < C; j++) z += d[i * C + j] * (wiring[0] * o[token * C + j] + wiring[1] * x[token * C + j]);
            for (int s = 0; s < activation.length; s++) a[i] += activation[s] * SIGMAS.get(s).applyAsDouble(z);
        }
        for (int c = 0; c < C; c++) {
            y[c] = ub[c];
            for (int i = 0; i < M; i++) {
                double encoded = encoder[0] * a[i];
                for (int k = 0; k < M && e != null; k++) encoded += encoder[1] * e[i * M + k] * a[k];
                y[c] += u[c * M + i] * encoded;
            }
        }
        return y;
    }

    @Test
    void whileSearchingAllOptionsHaveTheirShares() {
        for (String sublayer : List.of("self_attn", "mlp")) {
            Map<String, float[]> values = new java.util.HashMap<>();
            try (CausalLm model = Tiny.llama()) {
                Seen seen = spy(model, SEARCH.with("layers_to_transform", List.of(0)), sublayer, values);
                String place = sublayer.equals("mlp") ? "mlp" : "attention";
                double gamma = softmax(values.get("place"))[place.equals("mlp") ? 1 : 0];
                float[] x = seen.in.getFirst(), o = seen.bare.getFirst(), expected = o.clone();
                for (int t = 0; t < 10; t++) {
                    double[] y = branch(x, o, t, softmax(values.get(place + ".wiring")), softmax(values.get(place + ".activation")),
                            softmax(values.get(place + ".encoder")), values, place);
                    for (int c = 0; c < C; c++) expected[t * C + c] += (float) (2 * gamma * y[c]);
                }
                GoldenTensors.check(sublayer, seen.out.getFirst(), expected, 1e-5);
            }
        }
    }

    @Test
    void whatWasFoundIsThereAlone() {
        String[] wirings = {"series", "parallel"}, encoders = {"none", "linear"}, activations = {"relu", "tanh", "linear"};
        for (int which = 0; which < 24; which++) {
            int w = which % 2, e = which / 2 % 2, s = which / 4 % 3;
            String place = which < 12 ? "attention" : "mlp";
            Map<String, float[]> values = new java.util.HashMap<>();
            try (CausalLm model = Tiny.llama()) {
                Adapter found = SEARCH.with(Map.of("layers_to_transform", List.of(0), "architecture",
                        List.of(String.join("-", place, wirings[w], activations[s], encoders[e]))));
                Seen seen = spy(model, found, place.equals("mlp") ? "mlp" : "self_attn", values);
                assertThat(values).hasSize(4 + e);
                float[] x = seen.in.getFirst(), o = seen.bare.getFirst(), expected = o.clone();
                double[] activation = new double[3];
                activation[s] = 1;
                for (int t = 0; t < 10; t++) {
                    double[] y = branch(x, o, t, new double[] {1 - w, w}, activation, new double[] {1 - e, e}, values, place);
                    for (int c = 0; c < C; c++) expected[t * C + c] += (float) y[c];
                }
                GoldenTensors.check("found " + which, seen.out.getFirst(), expected, 1e-5);
            }
        }
    }

    /// A search by examples of its own, what it prefers in the folder, and an adapter of that.
    @Test
    void aSearchSaysWhatItPrefers(@TempDir Path folder) {
        List<Example> texts = IntStream.range(0, 20).mapToObj(i -> Example.of(new Random(i).ints(7, 0, 9).toArray(), 2)).toList();
        try (CausalLm model = Tiny.llama(); Peft peft = Peft.attach(model, SEARCH, 3)) {
            assertThat(peft.structure()).hasSize(2 * 7);
            stir(peft, 0.1);
            TrainConfig config = TrainConfig
                    .with(c -> c.steps(25).batchSize(5).learningRate(0.01).structureShare(0.4));
            new Trainer(config, new CausalLoss(model), peft).fit(texts, List.of());
            peft.save(folder);
            Graft graft = peft.adapter(Peft.DEFAULT);
            List<?> chosen = (List<?>) Adapters.read(folder).fields().get("chosen");
            assertThat(chosen).hasSize(2);
            for (int block = 0; block < 2; block++) {
                String[] words = chosen.get(block).toString().split("-");
                float[] place = graft.parameter("model.layers." + block + ".learned.place").value().toFloats();
                assertThat(words[0]).isEqualTo(place[0] >= place[1] ? "attention" : "mlp");
                float[] scores = graft.parameter("model.layers.%d.learned.%s.activation".formatted(block, words[0])).value().toFloats();
                int best = List.of("relu", "tanh", "linear").indexOf(words[2]);
                for (float score : scores) assertThat(score).isLessThanOrEqualTo(scores[best]);
                assertThat(scores[0]).isNotZero();
                for (String choice : List.of("wiring", "encoder")) {
                    float[] two = graft.parameter("model.layers.%d.learned.%s.%s".formatted(block, words[0], choice)).value().toFloats();
                    boolean isFirst = two[0] >= two[1];
                    assertThat(words[choice.equals("wiring") ? 1 : 3])
                            .isEqualTo(choice.equals("wiring") ? isFirst ? "series" : "parallel" : isFirst ? "none" : "linear");
                }
            }
            Graft found = Graft.plan(model, SEARCH.with("architecture", chosen));
            assertThat(found.count()).isLessThan(graft.count());
        }
    }

    @Test
    void whatCannotBeIsSaid() {
        assertThatThrownBy(() -> SEARCH.with("architecture", List.of("mlp-series-relu"))).isInstanceOf(AdapterException.class)
                .hasMessageContaining("an architecture is 'place-wiring-activation-encoder'").hasMessageContaining("got 'mlp-series-relu'");
        assertThatThrownBy(() -> SEARCH.with("candidates", List.of("rulu"))).hasMessageContaining("'rulu' is not known");
        assertThatThrownBy(() -> SEARCH.with("candidates", List.of())).hasMessageContaining("at least one activation");
        assertThatThrownBy(() -> SEARCH.with("bottleneck_size", 0)).hasMessageContaining("at least 1, got 0");
        try (CausalLm model = Tiny.llama()) {
            assertThatThrownBy(() -> Graft.plan(model, SEARCH.with("architecture", List.of("mlp-series-relu-none"))))
                    .hasMessage("architecture names 1 adapters for 2 blocks; give one for each");
            assertThatThrownBy(() -> Peft.attach(model, SEARCH).merge()).hasMessageContaining("activation stands between");
        }
    }
}
