package dev.graft.peft;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.withinPercentage;

import dev.graft.models.CausalLm;
import dev.graft.nn.Parameter;
import dev.graft.peft.train.Batch;
import dev.graft.peft.train.CausalLoss;
import dev.graft.peft.train.Example;
import dev.graft.peft.train.Objective;
import dev.graft.peft.train.StepReport;
import dev.graft.peft.train.TrainConfig;
import dev.graft.peft.train.TrainListener;
import dev.graft.peft.train.Trainer;
import dev.graft.tensor.DType;
import dev.graft.tensor.Grads;
import dev.graft.tensor.Scope;
import dev.graft.tensor.Tape;
import dev.graft.tensor.Tensor;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.function.Consumer;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// Training of PEDRO's activations on examples of their own.
class BilevelTest {
    private static final Adapter PEDRO = Adapters.of("pedro", Map.of("r", 3));
    private static final List<Example> TEXTS = IntStream.range(0, 10)
            .mapToObj(i -> Example.of(new Random(i).ints(6 + i % 3, 0, 29).toArray(), 3)).toList();

    @TempDir
    Path folder;

    private static TrainConfig config(Consumer<TrainConfig.Builder> changes) {
        return TrainConfig.with(c -> changes.accept(c.steps(6).batchSize(3).microBatchSize(2).learningRate(0.01).warmupRatio(0)
                .structureLearningRate(1e-3).structureShare(0.3).saveEvery(2).seed(5)));
    }

    /// PEDRO with numbers by which its activations matter.
    private static Peft attach(CausalLm model) {
        Peft peft = Peft.attach(model, PEDRO, 7);
        try (var _ = Scope.untracked()) {
            for (Parameter p : peft.parameters())
                if (!peft.structure().contains(p))
                    p.value().assign(Tensor.randn(DType.F32, p.shape(), p.name().hashCode()).mul(0.3));
        }
        return peft;
    }

    private static boolean isStructure(String name) {
        return name.contains("pedro.act");
    }

    private static Map<String, float[]> values(Peft peft) {
        Map<String, float[]> values = new LinkedHashMap<>();
        peft.parameters().forEach(p -> values.put(p.name(), p.value().toFloats()));
        return values;
    }

    @Test
    void structureFollowsExamplesThatTheWeightsNeverSee() {
        List<Batch> seen = new ArrayList<>();
        try (CausalLm model = Tiny.llama(); Peft peft = attach(model)) {
            CausalLoss loss = new CausalLoss(model);
            Objective recorded = batch -> {
                seen.add(batch);
                return loss.sum(batch);
            };
            new Trainer(config(c -> c.steps(7).microBatchSize(3)), recorded, peft).fit(TEXTS, List.of());
        }
        Set<Example> weights = new HashSet<>(), structure = new HashSet<>();
        for (int i = 0; i < seen.size(); i++) (i % 2 == 0 ? weights : structure).addAll(seen.get(i).examples());
        assertThat(seen).hasSize(14);
        assertThat(structure).hasSize(3).doesNotContainAnyElementsOf(weights);
        assertThat(weights).hasSize(7);
    }

    @Test
    void itsStepGoesDownTheGradientOfThoseExamplesAtTheNewWeights() {
        List<Batch> seen = new ArrayList<>();
        try (CausalLm model = Tiny.llama(); Peft peft = attach(model)) {
            CausalLoss loss = new CausalLoss(model);
            Map<String, float[]> before = values(peft);
            new Trainer(config(c -> c.steps(1).microBatchSize(3).clipNorm(0)), batch -> {
                seen.add(batch);
                return loss.sum(batch);
            }, peft).fit(TEXTS, List.of());
            Map<String, float[]> after = values(peft);
            int moved = 0;
            try (var _ = Scope.open()) {
                peft.structure().forEach(p -> p.value().assign(Tensor.of(before.get(p.name()), p.shape().dim(0))));  // as it was when its gradient was asked for
                try (Tape tape = Tape.open(); Grads grads = Grads.open()) {
                    tape.backward(loss.sum(seen.get(1)), grads);
                    for (Parameter p : peft.structure()) {
                        float[] g = grads.of(p).toFloats(), from = before.get(p.name()), to = after.get(p.name());
                        for (int i = 0; i < g.length; i++) {
                            if (Math.abs(g[i]) < 1e-4) continue;
                            moved++;
                            assertThat(to[i] - from[i]).as("%s[%d], whose gradient is %s", p.name(), i, g[i])
                                    .isCloseTo((float) (-1e-3 * Math.signum(g[i])), org.assertj.core.data.Offset.offset(2e-5f)); // Adam's first step
                        }
                    }
                }
            }
            assertThat(moved).isGreaterThan(12);
        }
    }

    private static double largestMove(TrainConfig config) {
        try (CausalLm model = Tiny.llama(); Peft peft = attach(model)) {
            Map<String, float[]> before = values(peft);
            new Trainer(config, new CausalLoss(model)::sum, peft).fit(TEXTS, List.of());
            Map<String, float[]> after = values(peft);
            return peft.structure().stream().map(Parameter::name).flatMapToDouble(name -> IntStream.range(0, before.get(name).length)
                    .mapToDouble(i -> Math.abs(after.get(name)[i] - before.get(name)[i]))).max().orElseThrow();
        }
    }

    @Test
    void itsRateHasFactorsToo() {
        for (double share : new double[] {0.3, 0}) {
            double plain = largestMove(config(c -> c.steps(1).structureShare(share)));
            assertThat(largestMove(config(c -> c.steps(1).structureShare(share).rateFactors("pedro\\.act=10")))).as("share %s", share)
                    .isCloseTo(10 * plain, withinPercentage(1));
            assertThat(largestMove(config(c -> c.steps(1).structureShare(share).rateFactors("pedro\\.up=10")))).isCloseTo(plain,
                    withinPercentage(1));
        }
    }

    @Test
    void onASingleLevelAllGoByTheSameBatch() {
        List<Batch> seen = new ArrayList<>();
        try (CausalLm model = Tiny.llama(); Peft peft = attach(model)) {
            CausalLoss loss = new CausalLoss(model);
            Map<String, float[]> before = values(peft);
            new Trainer(config(c -> c.steps(4).microBatchSize(3).structureShare(0)), batch -> {
                seen.add(batch);
                return loss.sum(batch);
            }, peft).fit(TEXTS, List.of());
            assertThat(seen).hasSize(4);
            values(peft).forEach((name, now) -> assertThat(now).as(name).isNotEqualTo(before.get(name)));
        }
    }

    @Test
    void aRateOfZeroLeavesItAsItIs() {
        try (CausalLm model = Tiny.llama(); Peft peft = attach(model)) {
            Map<String, float[]> before = values(peft);
            new Trainer(config(c -> c.structureLearningRate(0)), new CausalLoss(model), peft).fit(TEXTS, List.of());
            values(peft).forEach((name, now) -> {
                if (isStructure(name)) assertThat(now).as(name).isEqualTo(before.get(name));
                else assertThat(now).as(name).isNotEqualTo(before.get(name));
            });
        }
    }

    @Test
    void aResumedRunGivesTheSameBits() throws Exception {
        run(folder.resolve("whole"), 99, false);
        run(folder.resolve("parts"), 3, false);
        run(folder.resolve("parts"), 99, true);
        byte[] whole = Files.readAllBytes(folder.resolve("whole/adapter_model.safetensors"));
        assertThat(Files.readAllBytes(folder.resolve("parts/adapter_model.safetensors"))).isEqualTo(whole);
    }

    private static void run(Path into, int stopAfter, boolean resume) {
        try (CausalLm model = Tiny.llama(); Peft peft = attach(model)) {
            Trainer trainer = new Trainer(config(_ -> {
            }), new CausalLoss(model), peft).saving(peft::save, into);
            trainer.listener(new TrainListener() {
                @Override
                public void onStep(StepReport report) {
                    if (report.step() == stopAfter) trainer.stop();
                }
            });
            if (resume) trainer.resume(TEXTS, List.of());
            else trainer.fit(TEXTS, List.of());
        }
    }
}
