package dev.graft.peft;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.graft.models.CausalLm;
import dev.graft.nn.Parameter;
import dev.graft.peft.method.HubBottleneck;
import dev.graft.tensor.Backends;
import dev.graft.tensor.DType;
import dev.graft.tensor.Grads;
import dev.graft.tensor.Scope;
import dev.graft.tensor.Shape;
import dev.graft.tensor.Tape;
import dev.graft.tensor.Tensor;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// Adapters made of others: fusion and stacks, against loops over numbers and on models.
class CompositionTest {
    private static final int C = 5;
    private static final Adapter SERIES = HubBottleneck.HOULSBY.with("bottleneck_size", 2).with("non_linearity", "tanh");

    @Test
    void aFusionWeighsWhatItsAdaptersMakeOfTheLayer() {
        try (var _ = Scope.open(Backends.named("reference"));
                Toy toy = Toy.linear("any", C, C, true).filled(DType.F64);
                Peft peft = twoOn(toy)) {
            UnaryOperator<double[]> first = branch(peft, "a"), second = branch(peft, "b");
            fill(peft.fuse("both", List.of("a", "b"), 3));
            Map<String, double[]> p = values(peft.adapter("both"));
            double[] x = {0.3, -1, 0.7, 2, -0.4}, o = plain(toy, x), mix = new double[C];
            double[] q = affine(p.get("query.weight"), o, p.get("query.bias"));
            double[][] z = {first.apply(o), second.apply(o)};
            double[] e = new double[2];
            for (int i = 0; i < 2; i++) {
                double[] k = affine(p.get("key.weight"), z[i], p.get("key.bias"));
                for (int c = 0; c < C; c++) e[i] += q[c] * k[c];
                e[i] = Math.exp(e[i]);
            }
            for (int i = 0; i < 2; i++) for (int c = 0; c < C; c++) mix[c] += e[i] / (e[0] + e[1]) * z[i][c];
            double[] expected = affine(p.get("value.weight"), mix, o);
            assertThat(toy.linear("any").forward(Tensor.of(x, 1, C)).toDoubles()).containsExactly(expected, within(1e-9));
            double penalty = 0;
            for (int i = 0; i < C * C; i++) penalty += 0.01 * Math.pow(p.get("value.weight")[i] - (i % (C + 1) == 0 ? 1 : 0), 2);
            assertThat(peft.penalty().item()).isCloseTo(penalty, within(1e-9));
        }
    }

    @Test
    void aStackActsInTheOrderThatItNames() {
        try (var _ = Scope.open(Backends.named("reference"));
                Toy toy = Toy.linear("any", C, C, true).filled(DType.F64);
                Peft peft = twoOn(toy)) {
            double[] x = {0.3, -1, 0.7, 2, -0.4};
            UnaryOperator<double[]> a = branch(peft, "a"), b = branch(peft, "b");
            peft.stack("a", "b");
            double[] forth = toy.linear("any").forward(Tensor.of(x, 1, C)).toDoubles();
            assertThat(forth).containsExactly(after(b, after(a, plain(toy, x))), within(1e-9));
            peft.stack("b", "a");
            assertThat(peft.used().keySet()).containsExactly("b", "a");
            double[] back = toy.linear("any").forward(Tensor.of(x, 1, C)).toDoubles();
            assertThat(back).containsExactly(after(a, after(b, plain(toy, x))), within(1e-9)).isNotEqualTo(forth);
            peft.use("b", "a");
            assertThat(toy.linear("any").forward(Tensor.of(x, 1, C)).toDoubles()).isEqualTo(forth);
            assertThatThrownBy(() -> peft.stack("a", "a")).hasMessage("'a' can be in a stack only once");
        }
    }

    @Test
    void aFusionIsTrainedOnItsOwnSavedLoadedAndKeepsItsAdapters(@TempDir Path folder) {
        for (CausalLm made : new CausalLm[] {Tiny.llama(), Tiny.bloom(), Tiny.gptj()}) {
            Path to = folder.resolve(made.config().modelType());
            try (CausalLm model = made; Peft peft = Peft.of(model)) {
                peft.add("a", SERIES, 1);
                Tiny.train(model, peft, 3, 0.05);
                peft.add("b", SERIES.with("target_modules", "mlp"), 2);
                peft.use("b");
                Tiny.train(model, peft, 3, 0.05);
                Graft fusion = peft.fuse("both", List.of("a", "b"), 3);
                assertThat(fusion.places()).hasSize(2).allMatch(place -> place.endsWith(".mlp"));
                assertThat(peft.parameters()).isEqualTo(fusion.parameters());
                assertThat(fusion.count()).isEqualTo(2 * (3 * 20 * 20 + 2 * 20));
                Map<String, float[]> parts = Map.of("a", first(peft, "a"), "b", first(peft, "b"));
                double[] losses = Tiny.train(model, peft, 40, 0.02);
                assertThat(losses[39]).isLessThan(0.9 * losses[0]);
                assertThat(first(peft, "a")).isEqualTo(parts.get("a"));
                try (Tape tape = Tape.open(); Grads grads = tape.backward(Tiny.loss(model, 0, 8))) {
                    assertThat(peft.adapter("a").parameters()).allMatch(p -> grads.find(p) == null);
                    for (Parameter p : peft.parameters()) assertThat(grads.of(p).abs().max().item()).as(p.name()).isPositive();
                }
                float[] fused = Tiny.logits(model);
                assertThatThrownBy(peft::merge).hasMessageContaining("cannot be merged: how much each of its adapters counts");
                assertThatThrownBy(() -> peft.detach("a")).hasMessage("'both' makes use of 'a'; detach that one first");
                peft.save(to);
                peft.detach("both");
                peft.detach("a");
                peft.detach("b");
                assertThatThrownBy(() -> peft.add("both", to.resolve("both")))
                        .hasMessageContaining("there is no adapter 'a' to make use of");
                peft.add("a", to.resolve("a"));
                peft.add("b", to.resolve("b"));
                peft.add("both", to.resolve("both"));
                peft.use("both");
                assertThat(Tiny.logits(model)).isEqualTo(fused);
                peft.enabled(false);
                assertThat(Tiny.logits(model)).isNotEqualTo(fused);
            }
        }
    }

    /// Whatever they do: one adds to the output, one turns the input. Where no token asks for either, they count alike.
    @Test
    void anyAdaptersThatSurroundALayerAreFused() {
        try (var _ = Scope.open(Backends.named("reference"));
                Toy toy = Toy.linear("any", C, C, true).filled(DType.F64);
                Peft peft = Peft.of(toy)) {
            fill(peft.add("lora", Adapters.of("lora", Map.of("r", 2, "target_modules", "any")), 1));
            fill(peft.add("hra", Adapters.of("hra", Map.of("r", 2, "target_modules", "any")), 2));
            Tensor x = Tensor.of(new double[] {0.3, -1, 0.7, 2, -0.4}, 1, C);
            double[] one = toy.linear("any").forward(x).toDoubles();
            peft.use("hra");
            double[] other = toy.linear("any").forward(x).toDoubles();
            assertThat(other).isNotEqualTo(one);
            peft.fuse("both", List.of("lora", "hra"), 3).parameters().getFirst().value().assign(Tensor.zeros(DType.F64, C, C));
            double[] mean = new double[C];
            for (int c = 0; c < C; c++) mean[c] = (one[c] + other[c]) / 2;
            assertThat(toy.linear("any").forward(x).toDoubles()).containsExactly(mean, within(1e-4));
        }
        try (CausalLm model = Tiny.llama(); Peft peft = Peft.of(model)) {
            peft.add("lora", Adapters.of("lora", Map.of("r", 2)), 1);
            peft.add("norms", Adapters.of("ln-tuning", Map.of()), 4);
            assertThatThrownBy(() -> peft.fuse("more", List.of("lora", "norms"), 3))
                    .hasMessage("there is no layer that all of [lora, norms] surround");
            assertThatThrownBy(() -> peft.fuse("more", List.of("lora"), 3))
                    .hasMessageContaining("needs the names of two or more different adapters");
            assertThatThrownBy(() -> peft.fuse("more", List.of("lora", "no"), 3)).hasMessageContaining("no adapter 'no'");
        }
    }

    /// A fusion is used alone, so what its parts do elsewhere would be lost without a word.
    @Test
    void partsThatDoMoreThanSurroundLayersAreRefused() {
        try (CausalLm model = Tiny.llama(); Peft peft = Peft.of(model)) {
            peft.add("hub", Adapters.of("houlsby", Map.of()), 1);
            peft.add("mam", Adapters.of("mam", Map.of()), 2);
            peft.add("lora", Adapters.of("lora", Map.of("r", 2)), 3);
            peft.add("biased", Adapters.of("lora", Map.of("r", 2, "bias", "lora_only")), 4);
            peft.add("reading", Adapters.of("llama-adapter", Map.of()), 5);
            assertThatThrownBy(() -> peft.fuse("more", List.of("hub", "mam"), 6))
                    .hasMessage("'mam' does more than surround layers, and its virtual tokens would be lost in a fusion");
            assertThatThrownBy(() -> peft.fuse("more", List.of("lora", "biased"), 6))
                    .hasMessageContaining("what it trains of the model's own, model.layers.0.self_attn.q_proj.bias");
            assertThatThrownBy(() -> peft.fuse("more", List.of("hub", "reading"), 6))
                    .hasMessageContaining("there is no layer that all of [hub, reading] surround");
        }
    }

    @Test
    void whatAFusionFrozeIsThawedWithIt() {
        try (CausalLm model = Tiny.llama(); Peft peft = Peft.of(model)) {
            for (String name : List.of("a", "b", "c")) peft.add(name, Adapters.of("lora", Map.of("r", 2)), 1);
            peft.frozen("c", true);
            peft.fuse("both", List.of("a", "c"), 2);
            peft.fuse("other", List.of("a", "b"), 3);
            peft.detach("both");
            assertThat(List.of("a", "b", "c")).allMatch(name -> peft.adapter(name).isFrozen());
            peft.detach("other");
            assertThat(List.of("a", "b", "c")).map(name -> peft.adapter(name).isFrozen()).containsExactly(false, false, true);
        }
    }

    private static float[] first(Peft peft, String name) {
        return peft.adapter(name).parameters().getFirst().value().toFloats();
    }

    private static Peft twoOn(Toy toy) {
        Peft peft = Peft.of(toy);
        fill(peft.add("a", SERIES.with("target_modules", "any"), 1));
        fill(peft.add("b", SERIES.with("target_modules", "any").with("bottleneck_size", 3), 2));
        return peft;
    }

    private static void fill(Graft graft) {
        graft.parameters()
                .forEach(p -> p.value().assign(Tensor.randn(DType.F64, Shape.of(p.shape().dims()), p.name().hashCode()).mul(0.5)));
    }

    private static Map<String, double[]> values(Graft graft) {
        return graft.saved().entrySet().stream().collect(java.util.stream.Collectors.toMap(
                e -> e.getKey().replaceFirst("^base_model\\.model\\.any\\.", ""), e -> e.getValue().value().toDoubles()));
    }

    private static UnaryOperator<double[]> branch(Peft peft, String name) {
        Map<String, double[]> p = values(peft.adapter(name));
        return o -> {
            double[] a = affine(p.get("adapter_down.weight"), o, p.get("adapter_down.bias"));
            for (int i = 0; i < a.length; i++) a[i] = Math.tanh(a[i]);
            return affine(p.get("adapter_up.weight"), a, p.get("adapter_up.bias"));
        };
    }

    private static double[] after(UnaryOperator<double[]> f, double[] o) {
        double[] y = f.apply(o);
        for (int i = 0; i < y.length; i++) y[i] += o[i];
        return y;
    }

    private static double[] plain(Toy toy, double[] x) {
        return affine(toy.linear("any").weight().value().toDoubles(), x, toy.linear("any").bias().value().toDoubles());
    }

    private static double[] affine(double[] w, double[] x, double[] b) {
        double[] y = b.clone();
        for (int i = 0; i < w.length; i++) y[i / x.length] += w[i] * x[i % x.length];
        return y;
    }
}
