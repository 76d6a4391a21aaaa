package dev.graft.peft;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.graft.models.CausalLm;
import dev.graft.models.GoldenTensors;
import dev.graft.models.Inputs;
import dev.graft.models.KvCache;
import dev.graft.models.ModelLoader;
import dev.graft.models.generate.Session;
import dev.graft.models.io.Json;
import dev.graft.nn.Parameter;
import dev.graft.peft.method.Pedro;
import dev.graft.peft.train.CausalLoss;
import dev.graft.peft.train.Example;
import dev.graft.peft.train.TrainConfig;
import dev.graft.peft.train.Trainer;
import dev.graft.tensor.Backends;
import dev.graft.tensor.DType;
import dev.graft.tensor.Grads;
import dev.graft.tensor.Scope;
import dev.graft.tensor.Tape;
import dev.graft.tensor.Tensor;
import dev.graft.tensor.TensorException;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SequencedMap;
import java.util.function.Supplier;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/// PEDRO against [PedroByLoops] and a bare model whose rows are scaled by hand, and what must hold of vectors that are made of prompts.
class PedroTest {
    private static final Map<String, Supplier<CausalLm>> MODELS = new LinkedHashMap<>();
    private static final List<String> POOLERS = List.of("last", "mean", "max", "attn");
    private static final List<String> FUNCTIONS = List.of("rational", "relu", "gelu", "gelu_python", "gelu_new", "gelu_fast", "quick_gelu",
            "gelu_10", "silu", "swish", "sigmoid", "tanh", "mish", "relu6", "linear", "identity");

    static {
        MODELS.put("llama", Tiny::llama);
        MODELS.put("bloom", Tiny::bloom);
        MODELS.put("gptj", Tiny::gptj);
    }

    /// Prompts of 5, 2 and 4 tokens with answers; the second is padded on the left, the third on the right.
    private static final int[][] IDS = {{3, 1, 4, 1, 5, 9, 2}, {0, 0, 6, 5, 3, 5, 8}, {9, 7, 9, 3, 2, 0, 0}};
    private static final int[][] MASK = {{1, 1, 1, 1, 1, 1, 1}, {0, 0, 1, 1, 1, 1, 1}, {1, 1, 1, 1, 1, 0, 0}};
    private static final int[] PROMPTS = {5, 2, 4};

    private static Adapter small() {
        return Pedro.DEFAULT.with("r", 3);
    }

    /// Every parameter somewhere else than where it started.
    private static void stir(Peft peft, double by) {
        try (var _ = Scope.untracked()) {
            peft.parameters().forEach(p -> p.value()
                    .assign(p.value().add(Tensor.randn(p.value().dtype(), p.shape(), p.name().hashCode()).mul(by))));
        }
    }

    private static Stream<DynamicTest> everywhere(Check check) {
        return MODELS.entrySet().stream().map(m -> DynamicTest.dynamicTest(m.getKey(), () -> check.on(m.getKey(), m.getValue())));
    }

    private interface Check {
        void on(String architecture, Supplier<CausalLm> model);
    }

    // ---- the formula ----

    @TestFactory
    Stream<DynamicTest> startsAsTheBareModelToTheBit() {
        return everywhere((_, fresh) -> {
            try (CausalLm model = fresh.get()) {
                float[] bare = logits(model);
                for (String pooler : POOLERS) for (String function : FUNCTIONS) for (boolean bias : List.of(false, true)) {
                    Adapter adapter = small().with("pooler", pooler).with("non_linearity", List.of(function)).with("down_bias", bias);
                    try (Peft _ = Peft.attach(model, adapter, 5)) {
                        assertThat(logits(model)).as("%s, %s", pooler, function).isEqualTo(bare);
                    }
                }
            }
        });
    }

    @TestFactory
    Stream<DynamicTest> vectorsAndWhatTheyScaleAreThoseOfLoops() {
        return everywhere((architecture, fresh) -> {
            for (String pooler : POOLERS) for (String function : PedroByLoops.FUNCTIONS.keySet()) {
                judge(architecture, fresh, small().with("pooler", pooler).with("non_linearity", List.of(function)).with("down_bias", true));
            }
            judge(architecture, fresh, small().with("non_linearity", List.of("tanh", "rational")));
            judge(architecture, fresh, small().with("layers_to_transform", List.of(1)));
            for (String pooler : POOLERS) judge(architecture, fresh, small().with("pooler", pooler).with("pooled_tokens", 3));
            judge(architecture, fresh, small().with(Map.of("tasks", 3, "task_width", 5)), 2, -1, 0);
            judge(architecture, fresh, small().with(Map.of("tasks", 3, "task_width", 5, "task", 1)), 1, 1, 1);
        });
    }

    @TestFactory
    Stream<DynamicTest> anyProjectionsMayBeScaled() {
        return everywhere((architecture, fresh) -> {
            List<String> letters = Placements.letters(architecture);
            assertThat(letters).hasSize(architecture.equals("llama") ? 7 : 6);
            for (int set = 1; set < 1 << letters.size(); set++) {
                int bits = set;
                judge(architecture, fresh, small().with("scaled",
                        IntStream.range(0, letters.size()).filter(i -> (bits >> i & 1) == 1).mapToObj(letters::get).toList()));
            }
            judge(architecture, fresh, small().with("scaled", List.of("u", "v", "o", "q")));
        });
    }

    @TestFactory
    Stream<DynamicTest> behindTheActivationIsAnotherPlaceWhereNoGateHasIt() {
        return everywhere((architecture, fresh) -> {
            Adapter before = small(), after = small().with("after_activation", true);
            judge(architecture, fresh, after);
            judge(architecture, fresh, after.with("scaled", List.of("d", "u")));
            float[][] got = new float[2][];
            for (int i = 0; i < 2; i++) {
                try (CausalLm model = fresh.get(); Peft peft = Peft.attach(model, i == 0 ? before : after, 5)) {
                    stir(peft, 0.3);
                    got[i] = logits(model);
                }
            }
            if (architecture.equals("llama")) GoldenTensors.check("gated", got[1], got[0], 1e-4);
            else assertThat(largestDifference(got[0], got[1])).isGreaterThan(1e-2);
        });
    }

    /// Compares vectors with loops over what the blocks read, and logits with those of a bare model whose matrices they scale, row by row.
    ///
    /// @param tasks of each row; said to the model unless the adapter says it itself
    private static void judge(String architecture, Supplier<CausalLm> fresh, Adapter adapter, int... tasks) {
        try (CausalLm model = fresh.get(); Peft peft = Peft.attach(model, adapter, 5); var _ = Scope.open()) {
            stir(peft, 0.3);
            Inputs all = Inputs.of(IDS, MASK, PROMPTS),
                    in = tasks.length == 0 || ((Pedro) adapter).task() >= 0 ? all : all.withTasks(tasks);
            List<Scales> got = peft.scales(Peft.DEFAULT, in);
            float[] logits = model.logits(in).toFloats();
            List<float[]> states = model.hiddenStates(in).stream().map(Tensor::toFloats).toList();
            for (int row = 0; row < IDS.length; row++) {
                try (CausalLm bare = fresh.get()) {
                    PedroByLoops loops = new PedroByLoops(architecture, bare, peft.adapter(Peft.DEFAULT))
                            .of(tasks.length == 0 ? -1 : tasks[row]);
                    boolean[] prompted = prompted(row);
                    int reading = row, width = model.config().hidden();
                    loops.scale(block -> IntStream.range(0, IDS[0].length).filter(t -> prompted[t])
                            .mapToObj(t -> Arrays.copyOfRange(states.get(block), (reading * 7 + t) * width, (reading * 7 + t + 1) * width))
                            .toList());
                    for (Scales s : got) {
                        double[] expected = loops.vectors().get(s.block() + "." + (s.ofInput() ? "u" : s.part()));
                        float[] l = expected == null ? ones(s.values()[row].length) : floats(expected);
                        GoldenTensors.check("%s, block %d, %s".formatted(adapter, s.block(), s.part()), s.values()[row], l, 1e-4);
                    }
                    assertThat(got.stream().map(s -> s.block() + "." + (s.ofInput() ? "u" : s.part())).toList())
                            .containsAll(loops.vectors().keySet());
                    float[] alone = bare.logits(Inputs.of(new int[][] {IDS[row]}, new int[][] {MASK[row]})).toFloats();
                    for (int t = 0; t < 7; t++) {
                        if (MASK[row][t] == 0) continue;
                        GoldenTensors.check("%s, row %d, token %d".formatted(adapter, row, t),
                                Arrays.copyOfRange(logits, (row * 7 + t) * 29, (row * 7 + t + 1) * 29),
                                Arrays.copyOfRange(alone, t * 29, (t + 1) * 29), 1e-4);
                    }
                }
            }
        }
    }

    private static boolean[] prompted(int row) {
        boolean[] prompted = new boolean[7];
        for (int t = 0, n = 0; t < 7; t++) if (MASK[row][t] == 1) prompted[t] = n++ < PROMPTS[row];
        return prompted;
    }

    // ---- vectors of prompts ----

    @TestFactory
    Stream<DynamicTest> paddingAndAnswersHaveNoPartInTheVectors() {
        return everywhere((_, fresh) -> {
            for (String pooler : POOLERS) {
                try (CausalLm model = fresh.get();
                        Peft peft = Peft.attach(model, small().with("pooler", pooler), 5);
                        var _ = Scope.open()) {
                    stir(peft, 0.3);
                    int[] prompt = {6, 5, 3};
                    List<Scales> alone = peft.scales(Peft.DEFAULT, Inputs.of(new int[][] {prompt}));
                    int[][] ids = {{0, 0, 6, 5, 3}, {6, 5, 3, 0, 0}, {0, 6, 5, 3, 0}, {6, 5, 3, 8, 1}, {6, 5, 3, 2, 7}, {6, 5, 4, 8, 1}};
                    int[][] mask = {{0, 0, 1, 1, 1}, {1, 1, 1, 0, 0}, {0, 1, 1, 1, 0}, {1, 1, 1, 1, 1}, {1, 1, 1, 1, 1}, {1, 1, 1, 1, 1}};
                    List<Scales> many = peft.scales(Peft.DEFAULT, Inputs.of(ids, mask, new int[] {3, 3, 3, 3, 3, 3}));
                    for (int i = 0; i < alone.size(); i++) {
                        for (int row = 0; row < 5; row++)
                            GoldenTensors.check(pooler + ", row " + row, many.get(i).values()[row], alone.get(i).values()[0], 1e-5);
                        assertThat(largestDifference(many.get(i).values()[3], many.get(i).values()[4])).isZero();
                        if (!alone.get(i).part().equals("k"))
                            assertThat(largestDifference(many.get(i).values()[5], alone.get(i).values()[0])).isGreaterThan(1e-3);
                    }
                }
            }
        });
    }

    @TestFactory
    Stream<DynamicTest> decodingIsOnePassOverPromptAndAnswer() {
        int[] a = {3, 1, 4, 1, 5}, b = {6, 5}, more = {7, 2, 8, 1};
        return everywhere((_, fresh) -> {
            for (String pooler : POOLERS) {
                try (CausalLm model = fresh.get(); Peft peft = Peft.attach(model, small().with("pooler", pooler), 5)) {
                    stir(peft, 0.3);
                    try (Session session = model.open(List.of(a, b), 5)) {
                        for (int step = 0; step <= more.length; step++) {
                            if (step > 0) session.advance(new int[] {more[step - 1], more[step - 1] + 1});
                            for (int row = 0; row < 2; row++) {
                                int[] prompt = row == 0 ? a : b;
                                int shift = row;
                                int[] text = IntStream.concat(Arrays.stream(prompt), Arrays.stream(more, 0, step).map(id -> id + shift))
                                        .toArray();
                                try (var _ = Scope.open()) {
                                    float[] all = model.logits(Inputs.of(new int[][] {text}, null, new int[] {prompt.length})).toFloats();
                                    GoldenTensors.check(pooler + ", step " + step, session.logits()[row],
                                            Arrays.copyOfRange(all, all.length - 29, all.length), 1e-4);
                                }
                            }
                        }
                    }
                }
            }
        });
    }

    @Test
    void aPromptReadInPiecesIsRefused() {
        try (CausalLm model = Tiny.llama();
                Peft _ = Peft.attach(model, small(), 5);
                var _ = Scope.untracked();
                KvCache cache = new KvCache(8)) {
            assertThatThrownBy(() -> model.hidden(Inputs.of(new int[][] {{3, 1}}, null, new int[] {4}), cache))
                    .isInstanceOf(TensorException.class).hasMessageContaining("needs each to be read in one pass");
        }
    }

    // ---- gradients ----

    /// Of other sizes, so that central differences do not take long.
    private static CausalLm wide(String architecture) {
        Map<String, Object> config = switch (architecture) {
            case "llama" -> Map.of("model_type", "llama", "vocab_size", 11, "hidden_size", 12, "intermediate_size", 7, "num_hidden_layers",
                    2,
                    "num_attention_heads", 3, "num_key_value_heads", 1, "initializer_range", 0.3);
            case "bloom" -> Map.of("model_type", "bloom", "vocab_size", 11, "hidden_size", 6, "n_layer", 2, "n_head", 3,
                    "initializer_range", 0.3);
            default -> Map.of("model_type", "gptj", "vocab_size", 11, "n_embd", 12, "n_inner", 7, "n_layer", 2, "n_head", 3, "rotary_dim",
                    2,
                    "initializer_range", 0.3);
        };
        CausalLm model = ModelLoader.empty(Json.parse(Json.format(config), "tiny"));
        model.initialise(3);
        try (var _ = Scope.untracked()) {
            model.parameters().forEach(p -> p.fill(p.value().to(DType.F64).copy()));
        }
        return model;
    }

    @TestFactory
    Stream<DynamicTest> everyGradientIsACentralDifference() {
        Stream<String[]> poolers = POOLERS.stream().map(pooler -> new String[] {pooler, "rational"});
        Stream<String[]> functions = FUNCTIONS.stream().map(function -> new String[] {"mean", function});
        List<String[]> all = Stream.concat(poolers, functions).toList();
        return MODELS.keySet().stream().flatMap(architecture -> all.stream()
                .filter(c -> architecture.equals("llama") || c[1].equals("rational") || c[1].equals("tanh"))
                .map(c -> DynamicTest.dynamicTest(architecture + ", " + String.join(", ", c),
                        () -> differences(architecture, small().with("r", 2)
                                .with("pooler", c[0]).with("non_linearity", List.of(c[1])).with("down_bias", true)
                                .with(Map.of("tasks", c[1].equals("tanh") ? 2 : 0, "task_width", 3))))));
    }

    private static void differences(String architecture, Adapter adapter) {
        Inputs[] in = new Inputs[1];
        try (var _ = Scope.open(Backends.named("reference"));
                CausalLm model = wide(architecture);
                Peft peft = Peft.attach(model, adapter, 5)) {
            stir(peft, 0.4);
            in[0] = Inputs.of(new int[][] {{3, 1, 4, 1, 5}, {0, 6, 2, 9, 3}}, new int[][] {{1, 1, 1, 1, 1}, {0, 1, 1, 1, 1}},
                    new int[] {3, 2}).withTasks(1, 0);
            SequencedMap<String, double[]> plain = gradients(model, peft, in[0]);
            model.checkpointing(true);
            SequencedMap<String, double[]> again = gradients(model, peft, in[0]);
            model.checkpointing(false);
            assertThat(plain.keySet())
                    .hasSize(2 * (4 + (adapter.toString().contains("rational") ? 2 : 0) + (adapter.toString().contains("attn") ? 1 : 0)
                            + (adapter.toString().contains("tanh") ? 1 : 0)));
            for (Parameter p : peft.parameters()) {
                double[] values = p.value().toDoubles(), gradient = plain.get(p.name());
                assertThat(again.get(p.name())).as(p.name()).containsExactly(gradient, within(1e-12));
                assertThat(Arrays.stream(gradient).map(Math::abs).max().orElseThrow()).as(p.name()).isGreaterThan(1e-6);
                for (int i = 0; i < values.length; i++) {
                    double expected = (shifted(model, p, values, i, 1e-5, in[0]) - shifted(model, p, values, i, -1e-5, in[0])) / 2e-5;
                    assertThat(gradient[i]).as("%s[%d]", p.name(), i).isCloseTo(expected, within(1e-6 * Math.max(1, Math.abs(expected))));
                }
                set(p, values);
            }
        }
    }

    private static SequencedMap<String, double[]> gradients(CausalLm model, Peft peft, Inputs in) {
        SequencedMap<String, double[]> out = new LinkedHashMap<>();
        try (Tape tape = Tape.training(1); Grads grads = Grads.open()) {
            tape.backward(loss(model, in), grads);
            for (Parameter p : peft.parameters()) out.put(p.name(), grads.of(p).toDoubles());
        }
        return out;
    }

    /// Of the answers alone, each logit with a weight of its own.
    private static Tensor loss(CausalLm model, Inputs in) {
        Tensor logits = model.logits(in).slice(1, 3, 5);
        return logits.mul(Tensor.randn(DType.F64, logits.shape(), 7)).sum();
    }

    private static double shifted(CausalLm model, Parameter p, double[] values, int element, double by, Inputs in) {
        double[] moved = values.clone();
        moved[element] += by;
        set(p, moved);
        try (var _ = Scope.untracked()) {
            return loss(model, in).item();
        }
    }

    private static void set(Parameter p, double[] values) {
        try (var _ = Scope.untracked()) {
            p.value().assign(Tensor.of(values, p.shape().dims()));
        }
    }

    // ---- sizes ----

    /// The table of the specification: r (C + m) + m + 12 for each block with a rational act, C and r more with a pooler and a bias of its own.
    @ParameterizedTest
    @CsvSource({"LLaMA-2 7B, 4096, 11008, 32, 32, 32, 128, 9560064, 9691904, 614400",
            "LLaMA-2 13B, 5120, 13824, 40, 40, 40, 128, 14970880, 15176640, 962560",
            "LLaMA-2 70B, 8192, 28672, 80, 64, 8, 128, 47267840, 47925120, 3031040",
            "Llama-3 8B, 4096, 14336, 32, 32, 8, 128, 9666560, 9798400, 622592",
            "Gemma 2B, 2048, 16384, 18, 8, 1, 256, 4815360, 4852656, 336384",
            "Llama-3.2 1B, 2048, 8192, 16, 32, 8, 64, 2629632, 2662784, 172032",
            "TinyLlama 1.1B, 2048, 5632, 22, 32, 4, 64, 2810368, 2855952, 174592",
            "Qwen2.5 0.5B, 896, 4864, 24, 14, 2, 64, 2095104, 2117184, 141312",
            "SmolLM2 135M, 576, 1536, 30, 9, 3, 64, 1105920, 1123920, 69120", "tiny llama, 288, 768, 6, 6, 6, 48, 125568, 127440, 8064"})
    void asManyAsTheFormulaSays(String name, int width, int inner, int layers, int heads, int keyValueHeads, int headDim, long plain,
            long full,
            long vectors) {
        CausalLm model = ModelLoader.empty(Json.parse(Json.format(Map.of("model_type", "llama", "vocab_size", 32000, "hidden_size", width,
                "intermediate_size", inner, "num_hidden_layers", layers, "num_attention_heads", heads, "num_key_value_heads", keyValueHeads,
                "head_dim", headDim)), "config.json"));
        assertThat(Graft.plan(model, Pedro.DEFAULT.with("non_linearity", List.of("gelu"))).count()).isEqualTo(plain);
        Graft all = Graft.plan(model, Pedro.DEFAULT.with("pooler", "attn").with("down_bias", true));
        assertThat(all.count()).isEqualTo(full);
        assertThat(all.parameters().stream().filter(p -> p.name().endsWith("up.bias")).mapToLong(p -> p.shape().size()).sum())
                .isEqualTo(vectors);
    }

    // ---- what cannot be ----

    @Test
    void whatCannotBeIsSaid() {
        assertThatThrownBy(() -> small().with("pooler", "first")).isInstanceOf(AdapterException.class)
                .hasMessage("pooler must be one of [last, mean, max, attn], got \"first\"");
        assertThatThrownBy(() -> small().with("non_linearity", List.of("rationale"))).hasMessageContaining("'rationale' is not known");
        assertThatThrownBy(() -> small().with("non_linearity", List.of())).hasMessageContaining("one for each block, got none");
        assertThatThrownBy(() -> small().with("scaled", List.of("q", "x")))
                .hasMessage("scaled must be some of [q, k, v, o, g, u, d], each once, got [q, x]");
        assertThatThrownBy(() -> small().with("scaled", List.of("q", "q"))).hasMessageContaining("each once");
        assertThatThrownBy(() -> small().with("scaled", List.of())).hasMessageContaining("scaled must be some of");
        assertThatThrownBy(() -> small().with("multi_turn", "never"))
                .hasMessageContaining("multi_turn must be one of [reprefill, fixed, mixed]");
        assertThatThrownBy(() -> small().with("task", 0)).hasMessage("task must be one of the 0 tasks, from 0, or -1 for none, got 0");
        assertThatThrownBy(() -> small().with(Map.of("tasks", 2, "task_width", 0))).hasMessageContaining("task_width at least 1");
        assertThatThrownBy(() -> small().with("pooled_tokens", -1)).hasMessageContaining("pooled_tokens must be at least 1, or 0");
        assertThatThrownBy(() -> small().with("r", 0)).hasMessageContaining("r must be");
        try (CausalLm gptj = Tiny.gptj(); CausalLm llama = Tiny.llama(); var _ = Scope.open()) {
            assertThatThrownBy(() -> Graft.plan(gptj, small().with("scaled", List.of("q", "g")))).isInstanceOf(AdapterException.class)
                    .hasMessage("'transformer.h.0' has no 'g'; gptj has [q, k, v, o, u, d]");
            assertThatThrownBy(() -> Graft.plan(llama, small().with("non_linearity", List.of("tanh", "tanh", "relu"))))
                    .hasMessage("non_linearity names 3 functions for 2 blocks; give one for all, or one for each");
            assertThatThrownBy(() -> Peft.attach(llama, small()).merge()).hasMessageContaining("its vectors depend on the prompt");
            try (CausalLm other = Tiny.llama(); Peft _ = Peft.attach(other, small().with("tasks", 2))) {
                assertThatThrownBy(() -> other.logits(Inputs.of(new int[][] {{1}}).withTasks(2))).isInstanceOf(AdapterException.class)
                        .hasMessage("the adapter knows tasks 0 … 1, and -1 for none; a row is of task 2");
            }
            try (Peft peft = Peft.attach(llama, Adapters.of("lora", Map.of("r", 2)))) {
                assertThatThrownBy(() -> peft.scales(Peft.DEFAULT, Inputs.of(new int[][] {{1}})))
                        .hasMessageContaining("LORA scales nothing");
                peft.use();
                assertThatThrownBy(() -> peft.scales(Peft.DEFAULT, Inputs.of(new int[][] {{1}}))).hasMessage("'default' is not in use");
            }
        }
    }

    // ---- helpers ----

    private static float[] logits(CausalLm model) {
        try (var _ = Scope.open()) {
            return model.logits(Inputs.of(IDS, MASK, PROMPTS)).toFloats();
        }
    }

    private static double largestDifference(float[] a, float[] b) {
        return IntStream.range(0, a.length).mapToDouble(i -> Math.abs(a[i] - b[i])).max().orElseThrow();
    }

    private static float[] ones(int n) {
        float[] ones = new float[n];
        Arrays.fill(ones, 1);
        return ones;
    }

    private static float[] floats(double[] values) {
        float[] out = new float[values.length];
        for (int i = 0; i < out.length; i++) out[i] = (float) values[i];
        return out;
    }

    /// With U = 0 the vectors are 1 + b whatever the prompt, and half of the way to them is 1 + b/2.
    @Test
    void atAWeightItGoesThatShareOfTheWay() {
        try (CausalLm model = Tiny.llama(); Peft peft = Peft.attach(model, Adapters.of("pedro", Map.of("r", 3)), 1)) {
            List<Parameter> biases = peft.parameters().stream().filter(p -> p.name().endsWith("pedro.up.bias")).toList();
            try (var _ = Scope.untracked()) {
                biases.forEach(p -> p.value().assign(Tensor.randn(DType.F32, p.shape(), p.name().hashCode()).mul(0.5)));
            }
            peft.use(Map.of(Peft.DEFAULT, 0.5));
            float[] half = Tiny.logits(model);
            peft.use(Peft.DEFAULT);
            float[] whole = Tiny.logits(model);
            try (var _ = Scope.untracked()) {
                biases.forEach(p -> p.value().assign(p.value().mul(0.5)));
            }
            GoldenTensors.check("half", half, Tiny.logits(model), 1e-5);
            assertThat(half).isNotEqualTo(whole);
        }
    }

    @Test
    void itsOwnPromptIsNothingToLearn() {
        try (CausalLm model = Tiny.llama(); Peft peft = Peft.attach(model, Adapters.of("pedro", Map.of("r", 3)), 1)) {
            Trainer trainer = new Trainer(TrainConfig.with(c -> c.steps(1).batchSize(1)), new CausalLoss(model), peft);
            for (Example leaks : List.of(Example.of(1, 2, 3, 4), Example.ofBoth(new int[] {1, 2, 3, 4}, 3)))
                assertThatThrownBy(() -> trainer.fit(List.of(Example.of(new int[] {1, 2, 3, 4}, 2), leaks), List.of()))
                        .isInstanceOf(IllegalArgumentException.class).hasMessageContaining("training example 1 learns tokens of its prompt")
                        .hasMessageContaining("no train_on_inputs");
            trainer.fit(List.of(Example.of(new int[] {1, 2, 3, 4}, 2)), List.of());
        }
    }
}
