package dev.graft.peft.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.graft.nn.Parameter;
import dev.graft.optim.Schedule;
import dev.graft.peft.train.TrainConfig.Average;
import dev.graft.tensor.Backends;
import dev.graft.tensor.DType;
import dev.graft.tensor.Grads;
import dev.graft.tensor.Scope;
import dev.graft.tensor.Tape;
import dev.graft.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/// What one step does.
class TrainerTest {
    private static final List<Example> TEXTS = Texts.of(8, 1);

    private Scope scope;
    private final List<AutoCloseable> models = new ArrayList<>();

    @BeforeEach
    void open() {
        scope = Scope.open();
    }

    @AfterEach
    void close() throws Exception {
        for (AutoCloseable model : models) model.close();
        scope.close();
    }

    private ToyLm toy(DType dtype) {
        ToyLm model = new ToyLm(dtype, 0);
        models.add(model);
        return model;
    }

    private static TrainConfig config(Consumer<TrainConfig.Builder> changes) {
        return TrainConfig
                .with(c -> changes.accept(c.steps(3).batchSize(8).warmupSteps(0).schedule(Schedule.Law.CONSTANT).learningRate(0.1)));
    }

    private static final class Reports implements TrainListener {
        final List<StepReport> steps = new ArrayList<>();
        boolean closed;

        @Override
        public void onStep(StepReport report) {
            steps.add(report);
        }

        @Override
        public void close() {
            closed = true;
        }
    }

    private static Reports train(ToyLm model, TrainConfig config, List<Example> texts) {
        Reports reports = new Reports();
        new Trainer(config, model.loss(), model.weights()).listener(reports).fit(texts, List.of());
        return reports;
    }

    @Test
    void microBatchesOfAnySizeMakeTheSameStep() {
        try (var _ = Scope.open(Backends.named("reference"))) {
            ToyLm whole = toy(DType.F64);
            Reports expected = train(whole, config(c -> c.microBatchSize(8)), TEXTS);
            for (int size : new int[] {1, 2, 3, 4}) {
                ToyLm parts = toy(DType.F64);
                Reports reports = train(parts, config(c -> c.microBatchSize(size)), TEXTS);
                assertThat(parts.values()).containsExactly(whole.values(), within(1e-13));
                for (int i = 0; i < 3; i++) assertThat(reports.steps.get(i).loss()).isCloseTo(expected.steps.get(i).loss(), within(1e-13));
            }
        }
        ToyLm whole = toy(DType.F32);
        train(whole, config(c -> c.microBatchSize(8)), TEXTS);
        for (int size : new int[] {1, 2, 3, 4}) {
            ToyLm parts = toy(DType.F32);
            train(parts, config(c -> c.microBatchSize(size).optimizer(TrainConfig.Rule.SGD)), TEXTS);
            ToyLm again = toy(DType.F32);
            train(again, config(c -> c.microBatchSize(8).optimizer(TrainConfig.Rule.SGD)), TEXTS);
            assertThat(parts.values()).containsExactly(again.values(), within(2e-6));
        }
    }

    @Test
    void meanOfMicroBatchMeansIsLlmAdapters() {
        try (var _ = Scope.open(Backends.named("reference"))) {
            ToyLm model = toy(DType.F64);
            ToyLm byHand = toy(DType.F64);
            TrainConfig config = config(
                    c -> c.steps(1).microBatchSize(2).average(Average.MICRO_BATCHES).optimizer(TrainConfig.Rule.SGD).clipNorm(0));
            double loss = 0;
            try (Grads grads = Grads.open()) {
                for (Batch part : new Batches(TEXTS, config).next().split(2)) {
                    try (Tape tape = Tape.open()) {
                        Tensor mean = byHand.loss().sum(part).div(part.counted()).div(4);
                        loss += mean.item();
                        tape.backward(mean, grads);
                    }
                }
                for (Parameter p : byHand.weights()) p.value().assign(p.value().sub(grads.of(p).mul(0.1)));
            }
            Reports reports = train(model, config, TEXTS);
            assertThat(reports.steps.getFirst().loss()).isCloseTo(loss, within(1e-13));
            assertThat(model.values()).containsExactly(byHand.values(), within(1e-13));
            ToyLm byTokens = toy(DType.F64);
            train(byTokens, config(c -> c.steps(1).microBatchSize(2).optimizer(TrainConfig.Rule.SGD).clipNorm(0)), TEXTS);
            assertThat(byTokens.values()).isNotEqualTo(model.values());
        }
    }

    @Test
    void clippingBoundsTheStepAndReportsTheNormBefore() {
        double[] moved = new double[2];
        double[] norms = new double[2];
        double[] clips = {0, 0.01};
        for (int i = 0; i < 2; i++) {
            double clip = clips[i];
            ToyLm model = toy(DType.F32);
            double[] before = model.values();
            Reports reports = train(model, config(c -> c.steps(1).optimizer(TrainConfig.Rule.SGD).clipNorm(clip)), TEXTS);
            double[] after = model.values();
            double sum = 0;
            for (int j = 0; j < before.length; j++) sum += Math.pow(after[j] - before[j], 2);
            moved[i] = Math.sqrt(sum);
            norms[i] = reports.steps.getFirst().gradientNorm();
        }
        assertThat(norms[0]).isEqualTo(norms[1]).isGreaterThan(0.02);
        assertThat(moved[0]).isCloseTo(0.1 * norms[0], within(1e-6));
        assertThat(moved[1]).isCloseTo(0.1 * 0.01, within(1e-7));
    }

    @Test
    void stepsFollowTheSchedule() {
        Reports reports = train(toy(DType.F32), config(c -> c.steps(4).schedule(Schedule.Law.LINEAR).warmupSteps(1).learningRate(0.3)),
                TEXTS);
        assertThat(reports.steps.stream().mapToDouble(StepReport::learningRate).toArray()).containsExactly(new double[] {0, 0.3, 0.2, 0.1},
                within(1e-15));
        assertThat(reports.steps).extracting(StepReport::step).containsExactly(1L, 2L, 3L, 4L);
        assertThat(reports.steps).extracting(StepReport::epoch).containsExactly(1.0, 2.0, 3.0, 4.0);
    }

    @Test
    void lossFallsOnWhatIsSeenOften() {
        Reports reports = train(toy(DType.F32), config(c -> c.steps(150).learningRate(0.02)), TEXTS);
        assertThat(reports.steps.getLast().loss()).isLessThan(0.5 * reports.steps.getFirst().loss());
        assertThat(reports.closed).isTrue();
    }

    @Test
    void onlyTheGivenParametersChange() {
        ToyLm model = toy(DType.F32);
        List<Parameter> chosen = model.weights().stream().filter(p -> p.name().contains("v_proj")).toList();
        model.weights().forEach(p -> p.trainable(chosen.contains(p)));
        List<float[]> before = model.weights().stream().map(p -> p.value().toFloats()).toList();
        new Trainer(config(_ -> {
        }), model.loss(), chosen).fit(TEXTS, List.of());
        for (int i = 0; i < before.size(); i++) {
            Parameter p = model.weights().get(i);
            if (chosen.contains(p)) assertThat(p.value().toFloats()).as(p.name()).isNotEqualTo(before.get(i));
            else assertThat(p.value().toFloats()).as(p.name()).isEqualTo(before.get(i));
        }
    }

    @Test
    void recomputingActivationsChangesNothing() {
        ToyLm held = toy(DType.F32);
        ToyLm recomputed = toy(DType.F32);
        train(held, config(_ -> {
        }), TEXTS);
        train(recomputed, config(c -> c.recompute(true)), TEXTS);
        assertThat(recomputed.lm().checkpointing()).isTrue();
        assertThat(recomputed.values()).containsExactly(held.values(), within(1e-7));
    }

    @Test
    void trainingStopsAtALossThatIsNoNumber() {
        ToyLm model = toy(DType.F32);
        double[][] lastGood = new double[1][];
        Reports reports = new Reports();
        Objective breaks = batch -> {
            Tensor loss = model.loss().sum(batch);
            if (reports.steps.size() < 2) return loss;
            lastGood[0] = model.values();
            return loss.mul(Double.POSITIVE_INFINITY);
        };
        Trainer trainer = new Trainer(config(c -> c.steps(5).clipNorm(0)), breaks, model.weights()).listener(reports);
        assertThatThrownBy(() -> trainer.fit(TEXTS, List.of())).isInstanceOf(TrainingFailed.class)
                .hasMessageStartingWith("in step 3 the loss is Infinity.")
                .hasMessageContaining("a learning rate that is too high (0.1 at this step; try a tenth)")
                .hasMessageContaining("no clipping")
                .hasMessageEndingWith("No checkpoint had been written.");
        assertThat(model.values()).isEqualTo(lastGood[0]);
        assertThat(reports.closed).isTrue();
    }

    @Test
    void trainingStopsAtAGradientThatIsNoNumber() {
        ToyLm model = toy(DType.F32);
        double[] before = model.values();
        Parameter up = model.weights().stream().filter(p -> p.name().endsWith("up_proj.weight")).findFirst().orElseThrow();
        Tensor start = up.value().copy();
        Objective breaks = batch -> model.loss().sum(batch).add(up.value().sub(start).square().sum().sqrt()); // √ has no slope at 0
        assertThatThrownBy(() -> new Trainer(config(_ -> {
        }), breaks, model.weights()).fit(TEXTS, List.of())).isInstanceOf(TrainingFailed.class)
                .hasMessageStartingWith("in step 1 the gradient of model.layers.0.mlp.up_proj.weight is not finite (the loss is ");
        assertThat(model.values()).isEqualTo(before);
    }

    @Test
    void examplesWithoutAnythingToPredictAreRefused() {
        ToyLm model = toy(DType.F32);
        List<Example> texts = List.of(Example.of(1, 2), Example.of(new int[] {1, 2, 3}, 3));
        assertThatThrownBy(() -> train(model, config(_ -> {
        }), texts)).hasMessageContaining("training example 1 has no token to predict");
    }

    @Test
    void memoryOfAStepGoesBackToThePool() {
        ToyLm model = toy(DType.F32);
        List<Long> live = new ArrayList<>();
        List<Long> allocations = new ArrayList<>();
        new Trainer(config(c -> c.steps(60).batchSize(4).padToMultipleOf(16)), model.loss(), model.weights()).listener(new TrainListener() {
            @Override
            public void onStep(StepReport report) {
                live.add(Backends.best().memory().live());
                allocations.add(Backends.best().memory().allocations());
            }
        }).fit(Texts.of(40, 2), Texts.of(3, 3));
        assertThat(live).containsOnly(live.getFirst());
        assertThat(allocations.getLast()).isEqualTo(allocations.get(40));
    }
}
