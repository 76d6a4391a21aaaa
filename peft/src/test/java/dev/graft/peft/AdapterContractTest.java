package dev.graft.peft;

import static dev.graft.peft.AdapterContractTest.Case.Start.NEUTRAL;
import static dev.graft.peft.AdapterContractTest.Case.Start.OTHER;
import static dev.graft.peft.AdapterContractTest.Case.Start.ROUNDED;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.graft.models.CausalLm;
import dev.graft.models.GoldenTensors;
import dev.graft.models.Inputs;
import dev.graft.models.generate.Session;
import dev.graft.nn.Parameter;
import dev.graft.nn.Weight;
import dev.graft.peft.method.AdaLora;
import dev.graft.peft.train.CausalLoss;
import dev.graft.peft.train.Example;
import dev.graft.peft.train.StepReport;
import dev.graft.peft.train.TrainConfig;
import dev.graft.peft.train.TrainListener;
import dev.graft.peft.train.Trainer;
import dev.graft.tensor.Grads;
import dev.graft.tensor.Scope;
import dev.graft.tensor.Tape;
import dev.graft.tensor.Tensor;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SequencedMap;
import java.util.function.Function;
import java.util.function.Supplier;
import java.util.function.ToLongFunction;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;

/// What holds for every method on every architecture. A new method adds its line to [#CASES].
class AdapterContractTest {
    /// @param adapter small, and otherwise with the method's defaults
    /// @param start what the model computes right after attaching
    /// @param counts trained numbers on [Tiny#llama], [Tiny#bloom] and [Tiny#gptj] by the formula of the method's documentation
    /// @param drawn whether it starts from numbers that the seed decides
    record Case(String method, Adapter adapter, Start start, Counts counts, boolean drawn) {
        /// The same to the bit, the same but for rounding, or something else.
        enum Start {
            NEUTRAL, ROUNDED, OTHER
        }

        Case(String method, Adapter adapter, Start start, Counts counts) {
            this(method, adapter, start, counts, true);
        }

        /// The same, its first numbers whatever the seed.
        Case undrawn() {
            return new Case(method, adapter, start, counts, false);
        }

        record Counts(long llama, long bloom, long gptj) {
        }
    }

    private static final int C = 20, F = 36, KV = 4, LAYERS = 2, VOCAB = 29; // width, MLP, keys and values, blocks of the models in Tiny; BLOOM's MLP is 4 C wide

    static final List<Case> CASES = List.of(
            new Case("lora", small("lora", "r", 3), NEUTRAL,                                                     // r (in + out), on q and v
                    perLayer(3 * (C + C) + 3 * (C + KV), 3 * (C + 3 * C), 2 * 3 * (C + C))),
            new Case("series-h", small("series-h", "bottleneck_size", 3), OTHER,                              // 2 m in before the MLP, 2 m out behind it
                    perLayer(2 * 3 * C + 2 * 3 * C + 2 * 3 * C, 2 * 3 * C + 2 * 3 * C, 2 * 3 * C + 2 * 3 * C)),
            new Case("series", small("series", "bottleneck_size", 3), OTHER, perLayer(2 * 3 * C, 2 * 3 * C, 2 * 3 * C)),
            new Case("parallel", small("parallel", "bottleneck_size", 3), OTHER,                              // m (in + out), on q, k, v
                    perLayer(3 * (C + C) + 2 * 3 * (C + KV), 3 * (C + 3 * C), 3 * 3 * (C + C))),
            new Case("scaled-parallel", small("scaled-parallel", "bottleneck_size", 3), OTHER,                // and one each
                    perLayer(3 * (C + C) + 2 * 3 * (C + KV) + 3, 3 * (C + 3 * C) + 1, 3 * 3 * (C + C) + 3)),
            new Case("adalora", AdaLora.DEFAULT.with("target_r", 2).with("init_r", 3), NEUTRAL,                 // r (in + out + 1), on q and v
                    perLayer(3 * (C + C + 1) + 3 * (C + KV + 1), 3 * (C + 3 * C + 1), 2 * 3 * (C + C + 1))),
            new Case("loha", small("loha", "r", 2), NEUTRAL,                                                     // 2 r (in + out), on q and v
                    perLayer(4 * (C + C) + 4 * (C + KV), 4 * (C + 3 * C), 2 * 4 * (C + C))),
            new Case("lokr", small("lokr", "r", 1), NEUTRAL,                                                     // l m + r (k + n); 20 = 4·5, 60 = 6·10, 4 = 2·2
                    perLayer(4 * 4 + 5 + 5 + 2 * 4 + 2 + 5, 6 * 4 + 10 + 5, 2 * (4 * 4 + 5 + 5))),
            new Case("vera", small("vera", "r", 5), NEUTRAL, perLayer(5 + C + 5 + KV, 5 + 3 * C, 2 * (5 + C))).undrawn(),  // r + out
            new Case("randlora", small("randlora", "r", 3), NEUTRAL,                                             // n (r + min(in, out)), n = ⌈min(in, out)/r⌉
                    perLayer(7 * (3 + C) + 2 * (3 + KV), 7 * (3 + C), 2 * 7 * (3 + C))).undrawn(),
            new Case("fourierft", small("fourierft", "n_frequency", 50), OTHER, perLayer(2 * 50, 50, 2 * 50)), // n
            new Case("hira", small("hira", "r", 3), NEUTRAL,
                    perLayer(3 * (C + C) + 3 * (C + KV), 3 * (C + 3 * C), 2 * 3 * (C + C))),
            new Case("miss", small("miss", "r", 3), NEUTRAL, perLayer(3 * C + 3 * KV, 3 * 3 * C, 2 * 3 * C)).undrawn(),     // r out
            new Case("dora", small("dora", "r", 3), ROUNDED,                                                    // and out more; neutral but for rounding
                    perLayer(3 * (C + C) + C + 3 * (C + KV) + KV, 3 * (C + 3 * C) + 3 * C, 2 * (3 * (C + C) + C))),
            new Case("ia3", Adapters.of("ia3", Map.of()), NEUTRAL, perLayer(KV + KV + F, 3 * C + 4 * C, C + C + F)).undrawn(), // out, and in of what closes the MLP
            new Case("pedro", small("pedro", "r", 3), NEUTRAL,                                                   // r (C + m) + m + 12, m: q, v and u
                    perLayer(3 * (C + C + KV + F) + C + KV + F + 12, 3 * (C + 6 * C) + 6 * C + 12, 3 * (C + 2 * C + F) + 2 * C + F + 12)),
            new Case("hra", small("hra", "r", 4), ROUNDED, perLayer(2 * 4 * C, 4 * C, 2 * 4 * C)),              // r in; neutral but for rounding
            new Case("oft", small("oft", "oft_block_size", 5), NEUTRAL, perLayer(2 * 4 * 10, 4 * 10, 2 * 4 * 10)).undrawn(), // (in/m) m (m − 1)/2
            new Case("boft", small("boft", "boft_block_size", 5), ROUNDED,                                        // (in/m) m² + out
                    perLayer(4 * 25 + C + 4 * 25 + KV, 4 * 25 + 3 * C, 2 * (4 * 25 + C))).undrawn(),
            new Case("road", small("road", "group_size", 4).with("target_modules", "all-linear"), NEUTRAL,   // out
                    perLayer(2 * C + 2 * KV + 2 * F + C, 3 * C + C + 4 * C + C, 4 * C + F + C)).undrawn(),
            new Case("ln-tuning", Adapters.of("ln-tuning", Map.of()), NEUTRAL,                                   // C, of a LayerNorm 2 C; and the last norm
                    new Case.Counts(LAYERS * 2 * C + C, LAYERS * 2 * 2 * C + 2 * C, LAYERS * 2 * C + 2 * C)).undrawn(),
            new Case("bitfit", Adapters.of("bitfit", Map.of()), NEUTRAL,                                         // every bias there is; of norms, and of GPT-J's head, too
                    new Case.Counts(LAYERS * (2 * C + 2 * KV), LAYERS * (3 * C + C + 4 * C + C + 2 * C) + 2 * C,
                            LAYERS * (F + C + C) + C + VOCAB))
                    .undrawn(),
            new Case("houlsby", small("houlsby", "reduction_factor", 7), OTHER, perLayer(2 * (2 * 2 * C + 2 + C))), // 2 m C + m + C, after both
            new Case("pfeiffer", small("pfeiffer", "bottleneck_size", 3), OTHER, perLayer(2 * 3 * C + 3 + C)),
            new Case("par-bn", small("par-bn", "bottleneck_size", 3), NEUTRAL, perLayer(2 * 3 * C + 3 + C)),
            new Case("compacter", small("compacter", "phm_dim", 5).with("reduction_factor", 2), ROUNDED,        // 2 r (C + m) + m + C, and k³ once
                    once(125, LAYERS * 2 * (2 * (C + 10) + 10 + C))),
            new Case("compacter++", small("compacter++", "phm_dim", 5).with("reduction_factor", 2), ROUNDED,
                    once(125, LAYERS * (2 * (C + 10) + 10 + C))),
            new Case("learned-adapter", small("learned-adapter", "bottleneck_size", 3), NEUTRAL,                 // 2 (2 m C + m² + m + C) + 2 (K + 4) + 2
                    perLayer(2 * (2 * 3 * C + 9 + 3 + C) + 2 * (5 + 4) + 2)),
            new Case("s3delta", small("s3delta", "r", 1).with("temperature", 0), NEUTRAL,                         // in + out, out, 2 gates; 2 C and a gate behind attention and MLP; C and a gate
                    new Case.Counts(
                            LAYERS * (2 * (3 * C + 2) + 2 * (C + 2 * KV + 2) + 2 * (C + 2 * F + 2) + F + 2 * C + 2 + 2 * (C + 1)
                                    + 2 * (2 * C + 1)) + C + 1,
                            LAYERS * (7 * C + 2 + 3 * C + 2 + 9 * C + 2 + 6 * C + 2 + 2 * (C + 1) + 2 * (2 * C + 1)) + C + 1,
                            LAYERS * (4 * (3 * C + 2) + C + 2 * F + 2 + F + 2 * C + 2 + C + 1 + 2 * (2 * C + 1)) + C + 1)),
            new Case("loreft", small("loreft", "r", 3).with("prefix_positions", 2).with("suffix_positions", 1), OTHER,
                    perLayer(2 * 3 * C + 3)), // 2 r C + r
            new Case("prompt", small("prompt", "num_virtual_tokens", 7), OTHER, whole(7 * C, 7 * C)),            // n C
            new Case("p-tuning", small("p-tuning", "num_virtual_tokens", 7).with("encoder_hidden_size", 9), OTHER, // n C + h (C + 1) + h (h + 1) + C (h + 1)
                    whole(7 * C + 9 * (C + 1) + 9 * 10 + C * 10, 7 * C + 9 * (C + 1) + 9 * 10 + C * 10)),
            new Case("llama-adapter", small("llama-adapter", "adapter_len", 4), NEUTRAL, perLayer(4 * C + 1, 4 * C + 1, 4 * C + 1)), // n C + 1
            new Case("mam", small("mam", "num_virtual_tokens", 3).with("encoder_hidden_size", 6).with("reduction_factor", 4), OTHER, // a projected prefix; 2 m C + m + C
                    whole(3 * KV + 6 * (KV + 1) + 2 * LAYERS * KV * 7 + LAYERS * (2 * 5 * C + 5 + C),
                            3 * C + 6 * (C + 1) + 2 * LAYERS * C * 7 + LAYERS * (2 * 5 * C + 5 + C))),
            new Case("unipelt",
                    small("unipelt", "num_virtual_tokens", 3).with("prefix_projection", false).with("r", 3).with("reduction_factor", 4),
                    OTHER,                                                                                       // a prefix; r (in + out), 2 m C + m + C; gates
                    new Case.Counts(
                            2 * 3 * LAYERS * KV + LAYERS * (C + 1 + 3 * (C + C) + 3 * (C + KV) + 2 * (C + 1) + 2 * 5 * C + 5 + C + C + 1),
                            2 * 3 * LAYERS * C + LAYERS * (C + 1 + 3 * (C + 3 * C) + C + 1 + 2 * 5 * C + 5 + C + C + 1),
                            2 * 3 * LAYERS * C + LAYERS * (C + 1 + 2 * 3 * (C + C) + 2 * (C + 1) + 2 * 5 * C + 5 + C + C + 1))),
            new Case("prefix", small("prefix", "num_virtual_tokens", 3), OTHER,                                  // 2 n L K D
                    whole(2 * 3 * LAYERS * KV, 2 * 3 * LAYERS * C)));

    /// Options of these methods that compute something else.
    private static final List<Case> VARIANTS = List.of(
            new Case("learned-adapter",                                                                         // 2 m C + m + C, and m² in one of two blocks
                    small("learned-adapter", "bottleneck_size", 3).with("architecture",
                            List.of("attention-series-gelu-linear", "mlp-parallel-relu-none")),
                    NEUTRAL, whole(2 * (2 * 3 * C + 3 + C) + 9, 2 * (2 * 3 * C + 3 + C) + 9)),
            new Case("pedro",                                                                                   // r (C + w + m) + m + 12, and C, r and w a task
                    small("pedro", "r", 3).with("pooler", "attn").with("down_bias", true)
                            .with(Map.of("tasks", 2, "task_width", 5, "task", 1)),
                    NEUTRAL,
                    perLayer(3 * (C + 5 + C + KV + F) + C + KV + F + 12 + C + 3 + 2 * 5, 3 * (C + 5 + 6 * C) + 6 * C + 12 + C + 3 + 2 * 5,
                            3 * (C + 5 + 2 * C + F) + 2 * C + F + 12 + C + 3 + 2 * 5)),
            new Case("p-tuning",                                                                                // n C + 2h (2h + 1) + C (2h + 1) + 8 h (k + h + 2)
                    smallOf("p-tuning").with("encoder_reparameterization_type", "LSTM").with("encoder_hidden_size", 15),
                    OTHER,
                    whole(7 * C + 30 * 31 + C * 31 + 8 * 15 * (C + 15 + 2) + 8 * 15 * (30 + 15 + 2),
                            7 * C + 30 * 31 + C * 31 + 8 * 15 * (C + 15 + 2) + 8 * 15 * (30 + 15 + 2))),
            new Case("prefix", smallOf("prefix").with("prefix_projection", true).with("encoder_hidden_size", 6), OTHER, // n K D + h (K D + 1) + 2 L K D (h + 1)
                    whole(3 * KV + 6 * (KV + 1) + 2 * LAYERS * KV * 7, 3 * C + 6 * (C + 1) + 2 * LAYERS * C * 7)));

    /// Numbers drawn with deviation 1, which all act together and far from the loss, have a long way to go.
    private static double rate(Case c) {
        return switch (c.method) {
            case "prompt", "prefix" -> 0.3;
            case "p-tuning", "llama-adapter" -> 0.05;
            default -> 0.02;
        };
    }

    private static Adapter smallOf(String method) {
        return CASES.stream().filter(c -> c.method.equals(method)).findFirst().orElseThrow().adapter;
    }

    private static Case.Counts perLayer(long llama, long bloom, long gptj) {
        return new Case.Counts(LAYERS * llama, LAYERS * bloom, LAYERS * gptj);
    }

    /// Of a method that acts on the model as a whole.
    private static Case.Counts whole(long llama, long others) {
        return new Case.Counts(llama, others, others);
    }

    private static Case.Counts perLayer(long each) {
        return perLayer(each, each, each);
    }

    private static Case.Counts once(long shared, long all) {
        return new Case.Counts(shared + all, shared + all, shared + all);
    }

    private static Adapter small(String method, String field, int size) {
        return Adapters.of(method, Map.of(field, size));
    }

    private record Architecture(String name, Supplier<CausalLm> model, ToLongFunction<Case.Counts> count) {
        CausalLm q8() {
            return Tiny.quantised(model.get(), Weight.Q8::of);
        }

        CausalLm nf4() {
            return Tiny.quantised(model.get(), Weight.Nf4::of);
        }
    }

    private static final List<Architecture> ARCHITECTURES = List.of(new Architecture("llama", Tiny::llama, Case.Counts::llama),
            new Architecture("bloom", Tiny::bloom, Case.Counts::bloom), new Architecture("gptj", Tiny::gptj, Case.Counts::gptj));

    private static Stream<Case> cases() {
        return Stream.concat(CASES.stream(), VARIANTS.stream());
    }

    private interface Body {
        void run(Case c, CausalLm model, Peft peft) throws Exception;
    }

    private static Stream<DynamicTest> each(Body body) {
        return on(a -> a.model.get(), body);
    }

    private static Stream<DynamicTest> on(Function<Architecture, CausalLm> which, Body body) {
        return ARCHITECTURES.stream().flatMap(a -> cases().map(c -> DynamicTest.dynamicTest(c.method + " on " + a.name, () -> {
            try (CausalLm model = which.apply(a); Peft peft = Peft.attach(model, c.adapter, 11)) {
                body.run(c, model, peft);
            }
        })));
    }

    @Test
    void everyMethodHasACase() {
        assertThat(CASES.stream().map(Case::method)).containsExactlyElementsOf(Adapters.ALL.stream().map(Method::name).toList());
    }

    @TestFactory
    Stream<DynamicTest> startsNeutralOrSaysThatItDoesNot() {
        return each((c, model, peft) -> {
            float[] adapted = Tiny.logits(model);
            peft.enabled(false);
            float[] base = Tiny.logits(model);
            switch (c.start) {
                case NEUTRAL -> assertThat(adapted).isEqualTo(base);
                case ROUNDED -> GoldenTensors.check("neutral", adapted, base, 1e-5);
                case OTHER -> assertThat(adapted).isNotEqualTo(base);
            }
        });
    }

    @TestFactory
    Stream<DynamicTest> theSameSeedGivesTheSameStart() {
        return each((c, model, peft) -> {
            peft.close();
            float[][] logits = new float[3][];
            for (int i = 0; i < 3; i++) {
                try (Peft again = Peft.attach(model, c.adapter, i == 2 ? 12 : 11)) {
                    logits[i] = trained(model, again);
                }
            }
            assertThat(logits[1]).isEqualTo(logits[0]);
            assertThat(Arrays.equals(logits[2], logits[0])).isEqualTo(!c.drawn);
        });
    }

    @TestFactory
    Stream<DynamicTest> onlyItsParametersGetGradients() {
        return each((_, model, peft) -> {
            trained(model, peft);
            try (Tape tape = Tape.open(); Grads grads = tape.backward(Tiny.loss(model, 0, 8))) {
                assertThat(model.parameters()).allMatch(p -> grads.find(p) == null);
                for (Parameter p : peft.parameters()) assertThat(grads.of(p).abs().max().item()).as(p.name()).isPositive();
            }
        });
    }

    @TestFactory
    Stream<DynamicTest> trainingLeavesTheBaseBitForBit() {
        return each((_, model, peft) -> {
            Map<String, List<float[]>> before = base(model, peft);
            trained(model, peft);
            assertThat(base(model, peft)).usingRecursiveComparison().isEqualTo(before);
        });
    }

    @TestFactory
    Stream<DynamicTest> theLossFallsOnEightExamples() {
        return each((c, model, peft) -> {
            double[] losses = Tiny.train(model, peft, 60, rate(c));
            assertThat(losses[59]).isLessThan(0.8 * losses[0]);
        });
    }

    @TestFactory
    Stream<DynamicTest> savedAndLoadedItComputesTheSame() {
        return each((_, model, peft) -> inFolder(folder -> {
            float[] logits = trained(model, peft);
            peft.save(folder, "some/base");
            Graft graft = peft.adapter(Peft.DEFAULT);
            Adapter saved = graft.adapter().trained(graft);
            peft.close();
            try (Peft again = Peft.load(model, folder)) {
                assertThat(Tiny.logits(model)).isEqualTo(logits);
                assertThat(again.adapter(Peft.DEFAULT).adapter()).isEqualTo(saved);
            }
        }));
    }

    @TestFactory
    Stream<DynamicTest> aRunThatStoppedGoesOnToTheSameBits() {
        return each((c, model, peft) -> {
            peft.close();
            inFolder(whole -> inFolder(parts -> {
                run(model, c, whole, 9);
                run(model, c, parts, 2);
                run(model, c, parts, 9);
                String file = c.adapter.format().file();
                assertThat(parts.resolve(file)).hasSameBinaryContentAs(whole.resolve(file));
            }));
        });
    }

    /// Three steps of training, or fewer, in a process of its own, as it were.
    private static void run(CausalLm model, Case c, Path folder, int stopAfter) {
        List<Example> examples = IntStream.range(0, 8).mapToObj(i -> Example.of(Tiny.IDS[i], 3)).toList();
        TrainConfig config = TrainConfig.with(t -> t.steps(3).batchSize(4).learningRate(0.01).saveEvery(1));
        try (Peft peft = Peft.attach(model, c.adapter, 11)) {
            Trainer trainer = new Trainer(config, new CausalLoss(model), peft).saving(peft::save, folder);
            trainer.listener(new TrainListener() {
                @Override
                public void onStep(StepReport report) {
                    if (report.step() == stopAfter) trainer.stop();
                }
            });
            trainer.resume(examples, List.of());
        }
    }

    @TestFactory
    Stream<DynamicTest> mergedItComputesTheSameOrSaysWhyNot() {
        return each((c, model, peft) -> {
            float[] attached = trained(model, peft);
            Map<String, List<float[]>> base = Tiny.bits(model);
            if (!Adapters.named(c.method).mergeable()) {
                assertThatThrownBy(peft::merge).isInstanceOf(AdapterException.class)
                        .hasMessageMatching(
                                "'.*' cannot be merged: (\\w+ stands between|it changes some tokens|its virtual tokens stand before|it adds to what queries read|its vectors depend on the prompt).*");
                assertThat(Tiny.logits(model)).isEqualTo(attached);
                return;
            }
            boolean surrounds = model.modules(dev.graft.nn.Layer.class).anyMatch(dev.graft.nn.Layer::isSurrounded);
            MergeReport report = peft.merge();
            GoldenTensors.check("merged", Tiny.logits(model), attached, 2e-5);
            assertThat(model.modules(dev.graft.nn.Layer.class)).noneMatch(dev.graft.nn.Layer::isSurrounded);
            if (surrounds) assertThat(report.largest()).isPositive();                         // tuned norms stand in for the model's already
            peft.unmerge();
            assertThat(Tiny.bits(model)).usingRecursiveComparison().isEqualTo(base);
            assertThat(Tiny.logits(model)).isEqualTo(attached);
        });
    }

    /// A LoRA below it and one above it, on the layers that most methods go to; the one above at half its weight.
    @TestFactory
    Stream<DynamicTest> togetherWithOthersItMergesToWhatTheyCompute() {
        return ARCHITECTURES.stream().flatMap(a -> CASES.stream().filter(c -> Adapters.named(c.method).mergeable()).map(
                c -> DynamicTest.dynamicTest(c.method + " on " + a.name, () -> {
                    try (CausalLm model = a.model.get(); Peft peft = Peft.of(model)) {
                        Adapter other = small("lora", "r", 2).with("init_lora_weights", false).with("lora_bias", !a.name.equals("gptj"));   // whose layers have none
                        peft.add("below", other, 5);
                        peft.add("it", c.adapter, 11);
                        peft.add("above", other, 6);
                        peft.use("below", "it", "above");
                        trained(model, peft);
                        peft.use(Map.of("below", 1.0, "it", 1.0, "above", 0.5));
                        float[] together = Tiny.logits(model);
                        peft.merge();
                        GoldenTensors.check("merged", Tiny.logits(model), together, 2e-5);
                    }
                })));
    }

    @TestFactory
    Stream<DynamicTest> detachedItLeavesTheModelAsItWas() {
        return each((_, model, peft) -> {
            peft.enabled(false);
            float[] base = Tiny.logits(model);
            peft.enabled(true);
            assertThat(trained(model, peft)).isNotEqualTo(base);
            peft.detach(Peft.DEFAULT);
            assertThat(Tiny.logits(model)).isEqualTo(base);
            assertThat(peft.parameters()).isEmpty();
        });
    }

    /// Two texts of different lengths, read in two pieces over a cache, padded on the left.
    @TestFactory
    Stream<DynamicTest> decodesAsAWholePassComputes() {
        return each((_, model, peft) -> {
            trained(model, peft);
            int[][] texts = {{5, 3, 8, 1}, {7, 2}};
            int[] prompts = {4, 2};
            try (Session session = model.open(List.of(texts[0], texts[1]), 3); var _ = Scope.open()) {
                for (int next = 11; next < 14; next++) {
                    for (int row = 0; row < 2; row++) {
                        float[] whole = model.logits(Inputs.of(new int[][] {texts[row]}, null, new int[] {prompts[row]}))
                                .slice(1, texts[row].length - 1, texts[row].length)
                                .toFloats();
                        GoldenTensors.check("row " + row, session.logits()[row], whole, 1e-4);
                        texts[row] = Arrays.copyOf(texts[row], texts[row].length + 1);
                        texts[row][texts[row].length - 1] = next + row;
                    }
                    session.advance(new int[] {next, next + 1});
                }
            }
        });
    }

    @TestFactory
    Stream<DynamicTest> checkpointingChangesNoGradient() {
        return each((_, model, peft) -> {
            trained(model, peft);
            Map<String, float[]> plain = Tiny.gradients(model, peft.parameters(), 8);
            model.checkpointing(true);
            assertThat(Tiny.gradients(model, peft.parameters(), 8)).usingRecursiveComparison().isEqualTo(plain);
        });
    }

    /// Whatever it is called and wherever it acts: evaluation does without it, training does not, and a block that runs again for its gradients leaves out the same.
    @TestFactory
    Stream<DynamicTest> dropoutActsInTrainingAlone() {
        return ARCHITECTURES.stream().flatMap(a -> cases().flatMap(c -> dropouts(c).map(field -> DynamicTest.dynamicTest(
                c.method + " on " + a.name + ", " + field, () -> {
                    try (CausalLm model = a.model.get()) {
                        SequencedMap<String, float[]> values = new LinkedHashMap<>();
                        float[] without;
                        double loss;
                        try (Peft peft = Peft.attach(model, c.adapter, 11)) {
                            without = trained(model, peft);
                            loss = lossInTraining(model, 5);
                            peft.parameters().forEach(p -> values.put(p.name(), p.value().toFloats()));
                        }
                        try (Peft peft = Peft.attach(model, c.adapter.with(field, 0.5), 11); var _ = Scope.untracked()) {
                            peft.parameters().forEach(p -> p.value().assign(Tensor.of(values.get(p.name()), p.shape().dims())));
                            assertThat(Tiny.logits(model)).isEqualTo(without);
                            assertThat(IntStream.range(0, 8).mapToDouble(seed -> lossInTraining(model, seed))).anyMatch(l -> l != loss);
                            Map<String, float[]> plain = Tiny.gradients(model, peft.parameters(), 8);
                            model.checkpointing(true);
                            assertThat(Tiny.gradients(model, peft.parameters(), 8)).usingRecursiveComparison().isEqualTo(plain);
                        }
                    }
                }))));
    }

    /// P-tuning's is between the layers of an LSTM, of which an MLP has none.
    private static Stream<String> dropouts(Case c) {
        return c.adapter.fields().keySet().stream().filter(f -> f.endsWith("dropout") && !f.equals("encoder_dropout"));
    }

    private static double lossInTraining(CausalLm model, long seed) {
        try (Tape _ = Tape.training(seed)) {
            return Tiny.loss(model, 0, 8).item();
        }
    }

    @TestFactory
    Stream<DynamicTest> gradientsAddUpOverMicroBatches() {
        return each((_, model, peft) -> {
            trained(model, peft);
            Map<String, float[]> whole = Tiny.gradients(model, peft.parameters(), 8);
            Tiny.gradients(model, peft.parameters(), 2).forEach((name, g) -> GoldenTensors.check(name, g, whole.get(name), 1e-4));
        });
    }

    @TestFactory
    Stream<DynamicTest> trainsOnAnInt8Base() {
        return on(Architecture::q8, (c, model, peft) -> trainsAndLeavesTheBase(c, model, peft, 0.8));
    }

    @TestFactory
    Stream<DynamicTest> trainsOnAnNf4Base() {
        return on(Architecture::nf4, (c, model, peft) -> trainsAndLeavesTheBase(c, model, peft, 0.85)); // of an odd base (IA)³ makes least
    }

    private static void trainsAndLeavesTheBase(Case c, CausalLm model, Peft peft, double most) {
        Map<String, List<float[]>> before = base(model, peft);
        double[] losses = Tiny.train(model, peft, 60, rate(c));
        assertThat(losses[59]).isLessThan(most * losses[0]);
        assertThat(base(model, peft)).usingRecursiveComparison().isEqualTo(before);
    }

    @TestFactory
    Stream<DynamicTest> hasAsManyParametersAsItsFormulaSays() {
        return ARCHITECTURES.stream().flatMap(a -> cases().map(c -> DynamicTest.dynamicTest(c.method + " on " + a.name, () -> {
            try (CausalLm model = a.model.get(); Peft peft = Peft.attach(model, c.adapter)) {
                long base = model.parameterCount(), expected = a.count.applyAsLong(c.counts);
                assertThat(peft.counts()).isEqualTo(new Counts(expected, base + expected));
                assertThat(Graft.plan(model, c.adapter).count()).isEqualTo(expected);
            }
        })));
    }

    /// The model's own values, not those that stand in for them.
    private static Map<String, List<float[]>> base(CausalLm model, Peft peft) {
        peft.enabled(false);
        try {
            return Tiny.bits(model);
        } finally {
            peft.enabled(true);
        }
    }

    /// Three steps, so that nothing is where it started; the logits then.
    private static float[] trained(CausalLm model, Peft peft) {
        Tiny.train(model, peft, 3, 0.01);
        return Tiny.logits(model);
    }

    private interface InFolder {
        void run(Path folder) throws IOException;
    }

    private static void inFolder(InFolder body) throws IOException {
        Path folder = Files.createTempDirectory("graft-adapter");
        try {
            body.run(folder);
        } finally {
            try (Stream<Path> files = Files.walk(folder)) {
                files.sorted(Comparator.reverseOrder()).forEach(AdapterContractTest::delete);
            }
        }
    }

    private static void delete(Path file) {
        try {
            Files.delete(file);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
