package dev.graft.peft;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.graft.models.CausalLm;
import dev.graft.models.GoldenTensors;
import dev.graft.models.Inputs;
import dev.graft.models.Pass;
import dev.graft.nn.LayerHook;
import dev.graft.nn.Parameter;
import dev.graft.optim.Sgd;
import dev.graft.peft.method.LoReft;
import dev.graft.peft.train.Batch;
import dev.graft.peft.train.Example;
import dev.graft.peft.train.Padding;
import dev.graft.tensor.DType;
import dev.graft.tensor.Grads;
import dev.graft.tensor.Scope;
import dev.graft.tensor.Tape;
import dev.graft.tensor.Tensor;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;

/// LoReFT against loops over the hidden states of the bare model, and the matrix that it keeps orthonormal.
class LoReftTest {
    private static final int C = 20, R = 3;
    private static final Adapter FIRST_BLOCK = LoReft.DEFAULT.with("r", R).with("prefix_positions", 2).with("suffix_positions", 1)
            .with("layers_to_transform", 0);

    private static final int[][] IDS = {{3, 1, 4, 1, 5, 9, 2}, {0, 0, 6, 5, 3, 5, 8}, {9, 7, 9, 3, 2, 0, 0}, {0, 0, 0, 0, 2, 7, 1}};
    private static final int[][] MASK = {{1, 1, 1, 1, 1, 1, 1}, {0, 0, 1, 1, 1, 1, 1}, {1, 1, 1, 1, 1, 0, 0}, {0, 0, 0, 0, 1, 1, 1}};
    private static final int[] PROMPTS = {5, 4, 5, 2};
    /// With two first and one last token of each prompt, which for the last row is all of it.
    private static final List<List<Integer>> CHANGED = List.of(List.of(0, 1, 4), List.of(2, 3, 5), List.of(0, 1, 4), List.of(4, 5));

    private record Architecture(String name, Supplier<CausalLm> model) {
    }

    private static final List<Architecture> ARCHITECTURES = List.of(new Architecture("llama", Tiny::llama),
            new Architecture("bloom", Tiny::bloom), new Architecture("gptj", Tiny::gptj));

    @TestFactory
    Stream<DynamicTest> everyVariantChangesTheEndsOfThePromptAsItsFormulaSays() {
        return Stream.of("loreft", "consreft", "lobireft", "direft", "noreft", "nodireft")
                .flatMap(v -> ARCHITECTURES.stream().map(a -> DynamicTest.dynamicTest(v + " on " + a.name, () -> {
                    Adapter adapter = FIRST_BLOCK.with("variant", v).with("non_linearity", v.equals("direft") ? "relu" : "linear");
                    try (CausalLm model = a.model.get(); Peft peft = Peft.attach(model, adapter, 4); var _ = Scope.open()) {
                        float[] got = model.hiddenStates(Inputs.of(IDS, MASK, PROMPTS)).get(1).toFloats();
                        peft.enabled(false);
                        float[] expected = model.hiddenStates(Inputs.of(IDS, MASK, PROMPTS)).get(1).toFloats();
                        Map<String, float[]> p = values(peft);
                        for (int row = 0; row < 4; row++)
                            for (int t : CHANGED.get(row))
                                change(v, expected, (row * 7 + t) * C, p.get("rotate_layer"), p.get("weight"), p.get("bias"));
                        GoldenTensors.check(v, got, expected, 1e-5);
                    }
                })));
    }

    /// One state, in place.
    private static void change(String variant, float[] h, int at, float[] rotate, float[] weight, float[] bias) {
        double[] change = new double[R];
        for (int i = 0; i < R; i++) {
            double source = bias[i], held = 0;
            for (int c = 0; c < C; c++) {
                if (weight != null) source += weight[i * C + c] * h[at + c];
                held += rotate[c * R + i] * h[at + c];
            }
            change[i] = switch (variant) {
                case "loreft", "consreft", "noreft" -> source - held;
                case "direft" -> Math.max(0, source);
                default -> source;
            };
        }
        for (int c = 0; c < C; c++) for (int i = 0; i < R; i++) h[at + c] += (float) (rotate[c * R + i] * change[i]);
    }

    private static Map<String, float[]> values(Peft peft) {
        Map<String, float[]> values = new HashMap<>();
        peft.adapter(Peft.DEFAULT).saved()
                .forEach((key, p) -> values.put(key.replaceFirst(".*\\.(layers|h)\\.\\d+\\.", ""), p.value().toFloats()));
        return values;
    }

    @Test
    void eachEndMayHaveItsOwn() {
        try (CausalLm model = Tiny.llama();
                Peft peft = Peft.attach(model, FIRST_BLOCK.with("share_weights", false), 4);
                var _ = Scope.open()) {
            float[] got = model.hiddenStates(Inputs.of(IDS, MASK, PROMPTS)).get(1).toFloats();
            peft.enabled(false);
            float[] expected = model.hiddenStates(Inputs.of(IDS, MASK, PROMPTS)).get(1).toFloats();
            Map<String, float[]> p = values(peft);
            int[][] first = {{0, 1}, {2, 3}, {0, 1}, {4}};                               // of the last prompt, two tokens long, one at each end
            int[] last = {4, 5, 4, 5};
            for (int row = 0; row < 4; row++) {
                for (int t : first[row])
                    change("loreft", expected, (row * 7 + t) * C, p.get("prefix.rotate_layer"), p.get("prefix.weight"),
                            p.get("prefix.bias"));
                change("loreft", expected, (row * 7 + last[row]) * C, p.get("suffix.rotate_layer"), p.get("suffix.weight"),
                        p.get("suffix.bias"));
            }
            GoldenTensors.check("ends", got, expected, 1e-5);
            assertThat(Graft.plan(model, FIRST_BLOCK.with("share_weights", false).with("suffix_positions", 0)).saved().keySet())
                    .containsExactly(
                            "base_model.model.model.layers.0.prefix.rotate_layer", "base_model.model.model.layers.0.prefix.weight",
                            "base_model.model.model.layers.0.prefix.bias");
        }
    }

    /// Virtual tokens move the text and are no part of the prompt.
    @Test
    void virtualTokensAreNoneOfThePrompt() {
        for (String prompt : List.of("prompt", "prefix")) {
            try (CausalLm model = Tiny.llama(); Peft peft = Peft.of(model); var _ = Scope.open()) {
                peft.add("reft", FIRST_BLOCK, 4);
                peft.add("virtual", Adapters.of(prompt, Map.of("num_virtual_tokens", 3)), 5);
                peft.use("virtual");
                float[] bare = model.hiddenStates(Inputs.of(IDS, MASK, PROMPTS)).get(1).toFloats();
                peft.use("virtual", "reft");
                float[] got = model.hiddenStates(Inputs.of(IDS, MASK, PROMPTS)).get(1).toFloats();
                assertThat(changedTokens(bare, got)).as(prompt).isEqualTo(CHANGED);
                List<int[]> ends = new ArrayList<>();
                LayerHook spy = (x, next) -> {
                    ends.add(Pass.current().ends(2, 1).toInts());
                    return next.apply(x);
                };
                model.blocks().getFirst().attach(spy);
                model.hidden(Inputs.of(IDS, MASK, PROMPTS), null);
                int before = prompt.equals("prompt") ? 3 : 0;
                int[] expected = new int[4 * (before + 7)];
                for (int row = 0; row < 4; row++) for (int t : CHANGED.get(row)) expected[row * (before + 7) + before + t] = 1;
                assertThat(ends).singleElement().isEqualTo(expected);
            }
        }
    }

    @Test
    void withoutPromptsTheWholeRowIsOne() {
        try (CausalLm model = Tiny.llama(); Peft peft = Peft.attach(model, FIRST_BLOCK, 4); var _ = Scope.open()) {
            float[] got = model.hiddenStates(Inputs.of(IDS, MASK)).get(1).toFloats();
            peft.enabled(false);
            assertThat(changedTokens(model.hiddenStates(Inputs.of(IDS, MASK)).get(1).toFloats(), got))
                    .isEqualTo(List.of(List.of(0, 1, 6), List.of(2, 3, 6), List.of(0, 1, 4), List.of(4, 6)));
        }
    }

    private static List<List<Integer>> changedTokens(float[] before, float[] after) {
        List<List<Integer>> changed = new ArrayList<>();
        for (int row = 0; row < 4; row++) {
            changed.add(new ArrayList<>());
            for (int t = 0; t < 7; t++) {
                int from = (row * 7 + t) * C;
                if (!Arrays.equals(before, from, from + C, after, from, from + C)) changed.get(row).add(t);
            }
        }
        return changed;
    }

    @Test
    void batchesSayWhereTheirPromptsEnd() {
        try (var _ = Scope.open()) {
            Example answered = Example.of(new int[] {1, 2, 3, 4, 5}, 3), learned = Example.ofBoth(new int[] {1, 2, 3}, 2);
            Example labelled = new Example(new int[] {1, 2, 3}, new int[] {-100, 2, 3}), text = Example.of(6, 7, 8, 9);
            Inputs in = new Batch(List.of(answered, learned, labelled, text), Padding.LEFT, 1).inputs();
            assertThat(in.prompts().toInts()).containsExactly(3, 2, 1, 4);
        }
    }

    @Test
    void theMatrixStaysOrthonormalAndNearWhatTheStepMadeOfIt() {
        try (CausalLm model = Tiny.llama(); Peft peft = Peft.attach(model, FIRST_BLOCK, 4)) {
            Parameter rotate = peft.parameters().getFirst();
            float[] start = rotate.value().toFloats();
            checkOrthonormal(rotate);
            Tiny.train(model, peft, 5, 0.3);
            checkOrthonormal(rotate);
            assertThat(rotate.value().toFloats()).isNotEqualTo(start);
            Tensor given = null;
            try (Sgd sgd = new Sgd(List.of(rotate), Sgd.Config.DEFAULT); Tape tape = Tape.open()) {
                given = rotate.value().sum();
                try (Grads grads = tape.backward(given)) {
                    sgd.step(grads, 0.5);
                }
            }
            checkOrthonormal(rotate);
        }
    }

    private static void checkOrthonormal(Parameter p) {
        float[] q = p.value().toFloats();
        for (int i = 0; i < R; i++)
            for (int j = 0; j < R; j++) {
                double dot = 0;
                for (int c = 0; c < C; c++) dot += (double) q[c * R + i] * q[c * R + j];
                assertThat(dot).isCloseTo(i == j ? 1 : 0, within(2e-6));
            }
    }

    /// Of Q P, Q orthonormal and P positive, the nearest orthonormal matrix is Q.
    @Test
    void thePolarFactorIsFound() {
        try (CausalLm model = Tiny.llama(); Peft peft = Peft.attach(model, FIRST_BLOCK, 4); var _ = Scope.open()) {
            Parameter rotate = peft.parameters().getFirst();
            Tensor q = rotate.value().copy();
            double[] positive = {5, 1, -0.5, 1, 0.4, 0.1, -0.5, 0.1, 2};
            rotate.value().assign(q.matmul(Tensor.of(positive, R, R).to(DType.F32)));
            rotate.settle();
            GoldenTensors.check("polar", rotate.value().toFloats(), q.toFloats(), 1e-5);
        }
    }

    @Test
    void optionsThatMakeNoSenseAreRefused() {
        assertThatThrownBy(() -> LoReft.DEFAULT.with("variant", "moreft"))
                .hasMessageContaining("[loreft, consreft, lobireft, direft, noreft, nodireft]");
        assertThatThrownBy(() -> LoReft.DEFAULT.with("prefix_positions", 0).with("suffix_positions", 0)).hasMessageContaining("not both 0");
        try (CausalLm model = Tiny.llama()) {
            assertThatThrownBy(() -> Graft.plan(model, LoReft.DEFAULT.with("r", 21)))
                    .hasMessage("r is at most the width of 'model.layers.0', 20, got 21");
        }
    }
}
