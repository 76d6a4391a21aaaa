package dev.graft.peft.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.graft.nn.Module;
import dev.graft.nn.Parameter;
import dev.graft.tensor.DType;
import dev.graft.tensor.Scope;
import dev.graft.tensor.Tensor;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// What a trainee is asked and told in the course of a run.
class TraineeTest {
    private static final List<Example> TEXTS = Texts.of(23, 1);
    private static final List<Example> VALIDATION = Texts.of(5, 2);

    @TempDir
    Path folder;

    private static TrainConfig config(Consumer<TrainConfig.Builder> changes) {
        return TrainConfig.with(c -> changes.accept(c.steps(9).batchSize(4).microBatchSize(2).learningRate(0.05).evaluateEvery(3).seed(11)
                .optimizer(TrainConfig.Rule.SGD).clipNorm(0)));
    }

    /// `c/2 Σ p²`, whose gradient is that of SGD's weight decay c.
    private record Decay(List<Parameter> parameters, double c) implements Trainee {
        @Override
        public Tensor penalty() {
            return parameters.stream().map(p -> p.value().square().sum()).reduce(Tensor::add).orElseThrow().mul(c / 2);
        }
    }

    private static double[] trained(TrainConfig config, double c, List<Double> losses) {
        try (ToyLm model = new ToyLm(DType.F64, 0)) {
            Trainer trainer = c == 0 ? new Trainer(config, model.loss(), model.weights())
                    : new Trainer(config, model.loss(), new Decay(model.weights(), c));
            trainer.listener(new TrainListener() {
                @Override
                public void onStep(StepReport report) {
                    losses.add(report.loss());
                }
            });
            trainer.fit(TEXTS, VALIDATION);
            return model.values();
        }
    }

    @Test
    void penaltyIsAddedOnceHoweverTheBatchIsCut() {
        for (int micro : new int[] {1, 2, 4}) {
            for (TrainConfig.Average average : TrainConfig.Average.values()) {
                TrainConfig plain = config(c -> c.microBatchSize(micro).average(average));
                TrainConfig decayed = config(c -> c.microBatchSize(micro).average(average).weightDecay(0.3));
                List<Double> losses = new ArrayList<>(), penalised = new ArrayList<>();
                double[] expected = trained(decayed, 0, losses);
                assertThat(trained(plain, 0.3, penalised)).containsExactly(expected, within(1e-9));
                try (ToyLm model = new ToyLm(DType.F64, 0)) {
                    double first = 0.15 * java.util.Arrays.stream(model.values()).map(v -> v * v).sum();
                    assertThat(penalised.getFirst()).isCloseTo(losses.getFirst() + first, within(1e-9));
                }
            }
        }
    }

    @Test
    void itSeesEachStepWithItsGradients() {
        try (ToyLm model = new ToyLm(DType.F64, 0)) {
            List<String> seen = new ArrayList<>();
            double[][] before = {model.values()};
            new Trainer(config(c -> c.steps(3).warmupRatio(0)), model.loss(), new Trainee() {
                @Override
                public List<Parameter> parameters() {
                    return model.weights();
                }

                @Override
                public void begin(long steps) {
                    seen.add("begin " + steps);
                }

                @Override
                public void after(Step step) {
                    seen.add(step.number() + " of " + step.steps());
                    double rate = 0.05 * (1 - (step.number() - 1) / 3.0);
                    int at = 0;
                    double[] values = model.values();
                    for (Parameter p : parameters()) {
                        for (double g : step.grads().of(p).toDoubles()) {
                            assertThat(values[at]).isCloseTo(before[0][at++] - rate * g, within(1e-12));
                        }
                    }
                    before[0] = values;
                }
            }).fit(TEXTS, VALIDATION);
            assertThat(seen).containsExactly("begin 3", "1 of 3", "2 of 3", "3 of 3");
        }
    }

    /// Remembers how large the gradients were, and pulls the parameters by it.
    private static final class Memory implements Trainee, AutoCloseable {
        private static final class Sums extends Module {
            Parameter of(Parameter p) {
                Parameter sum = param("sum." + p.name(), p.shape());
                sum.fill(Tensor.zeros(p.value().spec()));
                return sum;
            }
        }

        private final ToyLm model;
        private final Sums sums = new Sums();
        private final List<Parameter> state = new ArrayList<>();

        Memory(ToyLm model) {
            this.model = model;
            for (Parameter p : model.weights()) state.add(sums.of(p));
        }

        @Override
        public List<Parameter> parameters() {
            return model.weights();
        }

        @Override
        public List<Parameter> state() {
            return state;
        }

        @Override
        public void after(Step step) {
            for (int i = 0; i < state.size(); i++) {
                Tensor sum = state.get(i).value(), p = parameters().get(i).value();
                sum.assign(sum.mul(0.9).add(step.grads().of(parameters().get(i)).abs()));
                p.assign(p.mul(sum.mul(-0.01).exp()));
            }
        }

        @Override
        public void close() {
            sums.close();
        }
    }

    private TrainResult run(Path into, long stopAfter, boolean loadBest) {
        try (var _ = Scope.open(); ToyLm model = new ToyLm(DType.F32, 0.2); Memory memory = new Memory(model)) {
            Trainer trainer = new Trainer(config(c -> c.saveEvery(2).loadBest(loadBest)), model.loss(), memory).saving(f -> {
                model.save(f);
                try (var _ = Scope.untracked()) {
                    Files.writeString(f.resolve("state.txt"),
                            memory.state.stream().map(p -> java.util.Arrays.toString(p.value().toFloats())).toList().toString());
                } catch (IOException e) {
                    throw new AssertionError(e);
                }
            }, into);
            trainer.listener(new TrainListener() {
                @Override
                public void onStep(StepReport report) {
                    if (report.step() == stopAfter) trainer.stop();
                }
            });
            return trainer.resume(TEXTS, VALIDATION);
        }
    }

    @Test
    void itsStateIsResumedToTheBit() throws IOException {
        for (boolean loadBest : new boolean[] {false, true}) {
            Path whole = folder.resolve("whole-" + loadBest);
            run(whole, -1, loadBest);
            for (long stop = 1; stop < 9; stop += 3) {
                Path parts = folder.resolve("parts-" + loadBest + stop);
                assertThat(run(parts, stop, loadBest).end()).isEqualTo(TrainResult.End.INTERRUPTED);
                run(parts, -1, loadBest);
                for (String file : List.of("toy.safetensors", "state.txt")) {
                    assertThat(parts.resolve(file)).hasSameBinaryContentAs(whole.resolve(file));
                }
            }
        }
    }
}
