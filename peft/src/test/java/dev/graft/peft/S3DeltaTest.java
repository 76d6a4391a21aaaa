package dev.graft.peft;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.graft.models.CausalLm;
import dev.graft.models.GoldenTensors;
import dev.graft.models.Inputs;
import dev.graft.nn.Layer;
import dev.graft.nn.LayerHook;
import dev.graft.nn.Linear;
import dev.graft.nn.Parameter;
import dev.graft.peft.train.CausalLoss;
import dev.graft.peft.train.Example;
import dev.graft.peft.train.TrainConfig;
import dev.graft.peft.train.Trainer;
import dev.graft.tensor.DType;
import dev.graft.tensor.Scope;
import dev.graft.tensor.Tape;
import dev.graft.tensor.Tensor;
import dev.graft.tensor.op.Unary;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// S3Delta's modules against loops, its budget, and what it chooses.
class S3DeltaTest {
    private static final Adapter SEARCH = Adapters.of("s3delta", Map.of("r", 2, "budget", 0.3));
    private static final int[][] IDS = {{3, 1, 4, 1, 5}};

    private static void stir(Peft peft) {
        try (var _ = Scope.untracked()) {
            peft.parameters()
                    .forEach(p -> p.value().assign(p.value().add(Tensor.randn(DType.F32, p.shape(), p.name().hashCode()).mul(0.4))));
        }
    }

    private static float[] values(Graft graft, String path) {
        return graft.parameter(path).value().toFloats();
    }

    private static double sigmoid(double x) {
        return 1 / (1 + Math.exp(-x));
    }

    /// What goes in, comes out bare, and comes out.
    private static float[][] seen(CausalLm model, String path, Adapter adapter, Map<String, float[]> own) {
        Layer layer = model.modules(Layer.class).filter(l -> l.path().equals(path)).findFirst().orElseThrow();
        float[][] seen = new float[3][];
        LayerHook inside = (x, next) -> {
            Tensor y = next.apply(x);
            seen[0] = x.toFloats();
            seen[1] = y.toFloats();
            return y;
        }, outside = (x, next) -> {
            Tensor y = next.apply(x);
            seen[2] = y.toFloats();
            return y;
        };
        layer.attach(inside);
        try (Peft peft = Peft.attach(model, adapter, 3); var _ = Scope.open()) {
            stir(peft);
            layer.attach(outside);
            model.hidden(Inputs.of(IDS), null);
            for (Parameter p : peft.parameters())
                if (p.name().startsWith(path + ".")) own.put(p.name().substring(path.length() + 4), p.value().toFloats());
            layer.detach(outside);
        } finally {
            layer.detach(inside);
        }
        return seen;
    }

    @Test
    void modulesAreAsStrongAsTheirGates() {
        String q = "model.layers.1.self_attn.k_proj", last = "model.layers.1.mlp.down_proj", norm = "model.layers.0.input_layernorm";
        for (boolean isFound : new boolean[] {false, true}) {
            Adapter adapter = isFound ? SEARCH.with("architecture", List.of(q + ":lora", norm + ":norm")) : SEARCH;
            try (CausalLm model = Tiny.llama()) {
                Map<String, float[]> own = new java.util.HashMap<>();
                float[][] seen = seen(model, q, adapter, own);
                assertThat(own.keySet()).containsExactlyInAnyOrderElementsOf(
                        isFound ? List.of("lora_A.weight", "lora_B.weight") : List.of("alpha", "lora_A.weight", "lora_B.weight", "bias"));
                double z1 = isFound ? 1 : sigmoid(own.get("alpha")[0]), z2 = isFound ? 0 : sigmoid(own.get("alpha")[1]);
                float[] expected = seen[1].clone();
                for (int t = 0; t < 5; t++) for (int o = 0; o < 4; o++) {
                    double y = isFound ? 0 : z2 * own.get("bias")[o];
                    for (int i = 0; i < 2; i++)
                        for (int j = 0; j < 20; j++)
                            y += z1 * own.get("lora_B.weight")[o * 2 + i] * own.get("lora_A.weight")[i * 20 + j] * seen[0][t * 20 + j];
                    expected[t * 4 + o] += (float) y;
                }
                GoldenTensors.check("linear", seen[2], expected, 1e-5);
            }
            try (CausalLm model = Tiny.llama()) {
                Map<String, float[]> own = new java.util.HashMap<>();
                float[][] seen = seen(model, last, isFound ? SEARCH.with("architecture", List.of(last + ":adapter")) : SEARCH.with("r", 1),
                        own);
                int r = isFound ? 2 : 1;
                float[] expected = new float[seen[1].length];
                for (int t = 0; t < 5; t++) {
                    double[] h = new double[20], y = new double[20];
                    for (int o = 0; o < 20; o++) {
                        h[o] = seen[1][t * 20 + o];
                        if (isFound) continue;
                        double low = 0;
                        for (int j = 0; j < 36; j++) low += own.get("lora_A.weight")[j] * seen[0][t * 36 + j];
                        h[o] += sigmoid(own.get("alpha")[0]) * own.get("lora_B.weight")[o] * low
                                + sigmoid(own.get("alpha")[1]) * own.get("bias")[o];
                    }
                    for (int i = 0; i < r; i++) {
                        double z = 0;
                        for (int j = 0; j < 20; j++) z += own.get("down.weight")[i * 20 + j] * h[j];
                        double gelu = Unary.GELU.value(z) * (isFound ? 1 : sigmoid(own.get("alpha")[2]));
                        for (int o = 0; o < 20; o++) y[o] += own.get("up.weight")[o * r + i] * gelu;
                    }
                    for (int o = 0; o < 20; o++) expected[t * 20 + o] = (float) (h[o] + y[o]);
                }
                GoldenTensors.check("adapter", seen[2], expected, 1e-5);
            }
            try (CausalLm model = Tiny.llama()) {
                Map<String, float[]> own = new java.util.HashMap<>();
                float[][] seen = seen(model, norm, adapter, own);
                double z = isFound ? 1 : sigmoid(own.get("alpha")[0]);
                float[] expected = seen[1].clone();
                for (int i = 0; i < expected.length; i++) expected[i] *= (float) (1 + z * own.get("norm")[i % 20]);
                GoldenTensors.check("norm", seen[2], expected, 1e-5);
            }
        }
    }

    /// In training gates are drawn: other ones in each step, 1 as often as σ(α) where they are sharp.
    @Test
    void gatesAreDrawnInTraining() {
        String norm = "model.norm";
        try (CausalLm model = Tiny.llama();
                Peft peft = Peft.attach(model, SEARCH.with("temperature", 0.001).with("target_modules", List.of("norm")), 3);
                var _ = Scope.open()) {
            Graft graft = peft.adapter(Peft.DEFAULT);
            graft.parameter(norm + ".s3.norm").value().assign(Tensor.ones(graft.parameter(norm + ".s3.norm").value().spec()));
            peft.enabled(false);
            float bare = model.hidden(Inputs.of(IDS), null).toFloats()[0];
            peft.enabled(true);
            int open = 0, closed = 0;
            for (int step = 0; step < 400; step++) {
                try (Tape _ = Tape.training(step)) {
                    double z = model.hidden(Inputs.of(IDS), null).toFloats()[0] / bare - 1;
                    if (z > 0.99) open++;
                    if (z < 0.01) closed++;
                }
            }
            assertThat(open + closed).isGreaterThan(395);
            assertThat(open / 400.0).isCloseTo(0.3, within(0.08));
            assertThat(model.hidden(Inputs.of(IDS), null).toFloats()[0] / bare - 1).isCloseTo(0.3f, within(1e-4f));
        }
    }

    @Test
    void aSearchKeepsItsBudgetAndSaysWhatItPrefers(@TempDir Path folder) {
        List<Example> texts = IntStream.range(0, 20).mapToObj(i -> Example.of(new Random(i).ints(7, 0, 9).toArray(), 2)).toList();
        try (CausalLm model = Tiny.llama(); Peft peft = Peft.attach(model, SEARCH, 3)) {
            TrainConfig config = TrainConfig
                    .with(c -> c.steps(20).batchSize(5).learningRate(0.02).structureShare(0.4));
            new Trainer(config, new CausalLoss(model), peft).fit(texts, List.of());
            peft.save(folder);
            Graft graft = peft.adapter(Peft.DEFAULT);
            List<?> chosen = (List<?>) Adapters.read(folder).fields().get("chosen");
            List<Scored> all = scored(graft);
            double room = 0.3 * all.stream().mapToDouble(Scored::size).sum(), expected = 0;
            for (Scored m : all) expected += m.size * sigmoid(m.alpha);
            assertThat(expected).as("after the last step").isCloseTo(room, within(1e-4 * room));
            assertThat(all.stream().map(Scored::alpha).distinct().count()).isGreaterThan(10);
            List<String> wanted = new ArrayList<>();
            double kept = 0;
            for (Scored m : all.stream().sorted(Comparator.comparingDouble(Scored::alpha).reversed()).toList()) {
                if (kept + m.size > room) continue;                              // a smaller one may still fit
                kept += m.size;
                wanted.add(m.name);
            }
            assertThat(chosen).isEqualTo(wanted);
            assertThat(kept).isGreaterThan(0.9 * room);
            Graft found = Graft.plan(model, SEARCH.with("architecture", chosen));
            assertThat(found.count()).isEqualTo((long) kept);
        }
    }

    private record Scored(String name, double size, double alpha) {
    }

    private static List<Scored> scored(Graft graft) {
        List<Scored> all = new ArrayList<>();
        for (Layer layer : graft.layers()) {
            float[] alpha = values(graft, layer.path() + ".s3.alpha");
            for (int i = 0; i < alpha.length; i++)
                all.add(new Scored(layer.path() + ":" + (layer instanceof Linear ? List.of("lora", "bias", "adapter").get(i) : "norm"),
                        !(layer instanceof Linear l) ? 20 : i == 0 ? 2 * (l.in() + l.out()) : i == 1 ? l.out() : 4 * l.out(), alpha[i]));
        }
        return all;
    }

    /// After a step the expected numbers are those of the budget.
    @Test
    void gatesMoveTogetherSoThatTheBudgetHolds() {
        try (CausalLm model = Tiny.llama(); Peft peft = Peft.attach(model, SEARCH, 3); var _ = Scope.untracked()) {
            stir(peft);
            Graft graft = peft.adapter(Peft.DEFAULT);
            List<float[]> before = graft.layers().stream().map(l -> values(graft, l.path() + ".s3.alpha")).toList();
            peft.after(new dev.graft.peft.train.Step(1, 2, null));
            List<Scored> after = scored(graft);
            double expected = 0;
            for (Scored m : after) expected += m.size * sigmoid(m.alpha);
            assertThat(expected).isCloseTo(0.3 * after.stream().mapToDouble(Scored::size).sum(), within(1e-2));
            Set<Long> shifts = new HashSet<>();
            int n = 0;
            for (float[] layer : before) for (float alpha : layer) shifts.add(Math.round((after.get(n++).alpha - alpha) * 1e4));
            assertThat(shifts.size()).isLessThanOrEqualTo(2);
        }
    }

    @Test
    void whatCannotBeIsSaid() {
        assertThatThrownBy(() -> SEARCH.with("budget", 1)).isInstanceOf(AdapterException.class)
                .hasMessageContaining("between 0 and 1, got 1");
        assertThatThrownBy(() -> SEARCH.with("temperature", -1)).hasMessageContaining("temperature must be above 0");
        try (CausalLm model = Tiny.llama()) {
            assertThatThrownBy(() -> Graft.plan(model, SEARCH.with("architecture", List.of("model.norm:lora"))))
                    .hasMessageContaining("architecture names 'model.norm:lora', which no target has");
            assertThatThrownBy(() -> Graft.plan(model, SEARCH.with("target_modules", List.of("mlp"))))
                    .hasMessageContaining("'model.layers.0.mlp' is neither");
        }
    }
}
