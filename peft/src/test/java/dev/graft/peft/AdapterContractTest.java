package dev.graft.peft;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.graft.models.CausalLm;
import dev.graft.models.GoldenTensors;
import dev.graft.nn.Parameter;
import dev.graft.tensor.Grads;
import dev.graft.tensor.Tape;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;

/// What holds for every method on every architecture. A new method adds its line to [#CASES].
class AdapterContractTest {
    /// @param adapter small, and otherwise with the method's defaults
    /// @param neutral whether the model computes the same right after attaching
    /// @param llama trained numbers on [Tiny#llama] by the formula of the method's documentation
    private record Case(String method, Adapter adapter, boolean neutral, long llama) {
    }

    private static final int C = 20, F = 36, KV = 4, LAYERS = 2; // width, MLP, keys and values, blocks of Tiny.llama

    private static final List<Case> CASES = List.of(
            new Case("lora", small("lora", "r", 3), true, LAYERS * (3 * (C + C) + 3 * (C + KV))),                                // r (in + out), on q and v
            new Case("series-h", small("series-h", "bottleneck_size", 3), false, LAYERS * (2 * 3 * C + 2 * 3 * C + 2 * 3 * C)),  // 2 m in, twice; 2 m out
            new Case("series", small("series", "bottleneck_size", 3), false, LAYERS * (2 * 3 * C)),                             // 2 m out
            new Case("parallel", small("parallel", "bottleneck_size", 3), false, LAYERS * (3 * (C + C) + 2 * 3 * (C + KV))),     // m (in + out), on q, k, v
            new Case("scaled-parallel", small("scaled-parallel", "bottleneck_size", 3), false,
                    LAYERS * (3 * (C + C) + 2 * 3 * (C + KV) + 3)));

    private static Adapter small(String method, String field, int size) {
        return Adapters.of(method, Map.of(field, size));
    }

    private record Architecture(String name, Supplier<CausalLm> model, Supplier<CausalLm> quantised) {
    }

    private static final List<Architecture> ARCHITECTURES = List.of(new Architecture("llama", Tiny::llama, Tiny::quantised));

    private interface Body {
        void run(Case c, CausalLm model, Peft peft) throws Exception;
    }

    private static Stream<DynamicTest> each(Body body) {
        return on(Architecture::model, body);
    }

    private static Stream<DynamicTest> on(java.util.function.Function<Architecture, Supplier<CausalLm>> which, Body body) {
        return ARCHITECTURES.stream().flatMap(a -> CASES.stream().map(c -> DynamicTest.dynamicTest(c.method + " on " + a.name, () -> {
            try (CausalLm model = which.apply(a).get(); Peft peft = Peft.attach(model, c.adapter, 11)) {
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
            if (c.neutral) assertThat(adapted).isEqualTo(Tiny.logits(model));
            else assertThat(adapted).isNotEqualTo(Tiny.logits(model));
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
            assertThat(logits[2]).isNotEqualTo(logits[0]);
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
            Map<String, List<float[]>> before = Tiny.bits(model);
            trained(model, peft);
            assertThat(Tiny.bits(model)).usingRecursiveComparison().isEqualTo(before);
        });
    }

    @TestFactory
    Stream<DynamicTest> theLossFallsOnEightExamples() {
        return each((_, model, peft) -> {
            double[] losses = Tiny.train(model, peft, 60, 0.02);
            assertThat(losses[59]).isLessThan(0.8 * losses[0]);
        });
    }

    @TestFactory
    Stream<DynamicTest> savedAndLoadedItComputesTheSame() {
        return each((c, model, peft) -> inFolder(folder -> {
            float[] logits = trained(model, peft);
            peft.save(folder, "some/base");
            peft.close();
            try (Peft again = Peft.load(model, folder)) {
                assertThat(Tiny.logits(model)).isEqualTo(logits);
                assertThat(again.adapter(Peft.DEFAULT).adapter().with("target_modules", "x"))
                        .isEqualTo(c.adapter.with("target_modules", "x"));
            }
        }));
    }

    @TestFactory
    Stream<DynamicTest> mergedItComputesTheSameOrSaysWhyNot() {
        return each((c, model, peft) -> {
            float[] attached = trained(model, peft);
            Map<String, List<float[]>> base = Tiny.bits(model);
            if (!Adapters.named(c.method).mergeable()) {
                assertThatThrownBy(peft::merge).isInstanceOf(AdapterException.class)
                        .hasMessageContaining("cannot be merged: tanh stands between");
                assertThat(Tiny.logits(model)).isEqualTo(attached);
                return;
            }
            MergeReport report = peft.merge();
            GoldenTensors.check("merged", Tiny.logits(model), attached, 2e-5);
            assertThat(model.modules(dev.graft.nn.Layer.class)).noneMatch(dev.graft.nn.Layer::isSurrounded);
            assertThat(report.largest()).isPositive();
            peft.unmerge();
            assertThat(Tiny.bits(model)).usingRecursiveComparison().isEqualTo(base);
            assertThat(Tiny.logits(model)).isEqualTo(attached);
        });
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

    @TestFactory
    Stream<DynamicTest> checkpointingChangesNoGradient() {
        return each((_, model, peft) -> {
            trained(model, peft);
            Map<String, float[]> plain = Tiny.gradients(model, peft.parameters(), 8);
            model.checkpointing(true);
            assertThat(Tiny.gradients(model, peft.parameters(), 8)).usingRecursiveComparison().isEqualTo(plain);
        });
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
    Stream<DynamicTest> trainsOnAQuantisedBase() {
        return on(Architecture::quantised, (_, model, peft) -> {
            Map<String, List<float[]>> before = Tiny.bits(model);
            double[] losses = Tiny.train(model, peft, 60, 0.02);
            assertThat(losses[59]).isLessThan(0.8 * losses[0]);
            assertThat(Tiny.bits(model)).usingRecursiveComparison().isEqualTo(before);
        });
    }

    @TestFactory
    Stream<DynamicTest> hasAsManyParametersAsItsFormulaSays() {
        return each((c, model, peft) -> {
            long base = model.parameterCount();
            assertThat(peft.counts()).isEqualTo(new Counts(c.llama, base + c.llama));
            assertThat(Graft.plan(model, c.adapter).count()).isEqualTo(c.llama);
        });
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
