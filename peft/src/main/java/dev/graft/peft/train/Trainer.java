package dev.graft.peft.train;

import dev.graft.nn.Parameter;
import dev.graft.optim.Optimizer;
import dev.graft.optim.Schedule;
import dev.graft.tensor.DType;
import dev.graft.tensor.Grads;
import dev.graft.tensor.Scope;
import dev.graft.tensor.Tape;
import dev.graft.tensor.Tensor;
import dev.graft.tensor.op.Random;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Consumer;
import java.util.stream.DoubleStream;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/// Trains parameters on an objective.
///
/// ```java
/// Trainer trainer = new Trainer(config, new CausalLoss(model), peft).saving(peft::save, folder);
/// TrainResult result = trainer.fit(train, validation);
/// ```
/// Every random choice is a function of the seed and the step, so a run resumed from a checkpoint gives the same bits as one that never stopped.
public final class Trainer {
    private static final long DROPOUT = 0xD409, HELD = 0x4E1D;

    private final TrainConfig config;
    private final Objective objective;
    private final Trainee trainee;
    private final List<Parameter> parameters;
    private final List<TrainListener> listeners = new ArrayList<>();
    private RunFolder folder;
    private volatile boolean stopAsked;

    /// @param parameters what changes, and nothing else does: F32 or F64, trainable where the optimizer goes by gradients; by losses alone also F16
    public Trainer(TrainConfig config, Objective objective, List<Parameter> parameters) {
        this(config, objective, Trainee.of(parameters));
    }

    /// @param trainee what changes; nothing else does
    public Trainer(TrainConfig config, Objective objective, Trainee trainee) {
        List<Parameter> parameters = trainee.parameters();
        if (parameters.isEmpty()) throw new IllegalArgumentException("there are no parameters to train");
        if (parameters.stream().map(Parameter::name).distinct().count() < parameters.size()) {
            throw new IllegalArgumentException(
                    "two of the parameters to train have one name: " + parameters.stream().map(Parameter::name).sorted().toList());
        }
        this.config = config;
        this.objective = objective;
        this.trainee = trainee;
        this.parameters = List.copyOf(parameters);
    }

    /// Where checkpoints go, and the product in the end. Without this nothing is saved, and the weights stay those of the last step.
    public Trainer saving(Saveable product, Path folder) {
        return saving(product, folder, Map.of());
    }

    /// @param about what else makes the run what it is, such as the adapter's settings, as plain values; only a run with the same can be resumed
    public Trainer saving(Saveable product, Path folder, Map<String, ?> about) {
        this.folder = new RunFolder(folder, product, config, trainee, about);
        return this;
    }

    public Trainer listener(TrainListener listener) {
        listeners.add(listener);
        return this;
    }

    /// Lets the run end after the step it is at, with a checkpoint. From any thread.
    public void stop() {
        stopAsked = true;
    }

    /// Trains from the beginning. A folder that holds checkpoints is refused.
    ///
    /// @param validation may be empty
    public TrainResult fit(List<Example> train, List<Example> validation) {
        if (folder != null) folder.requireFresh();
        return run(train, validation);
    }

    /// Goes on from the folder's last checkpoint; from the beginning when there is none yet. Settings and data must be those of the run.
    public TrainResult resume(List<Example> train, List<Example> validation) {
        if (folder == null) throw new IllegalStateException("there is no folder to resume from; name one with saving(…)");
        return run(train, validation);
    }

    private TrainResult run(List<Example> train, List<Example> validation) {
        requirePredictions(train, "training");
        requirePredictions(validation, "validation");
        if (trainee.looksAhead()) {
            requireOwnPrompts(train, "training");
            requireOwnPrompts(validation, "validation");
        }
        objective.begin(config);
        try (Run run = new Run(train, validation)) {
            trainee.begin(run.steps);
            if (folder != null) folder.begin(train, validation);
            run.restore();
            listeners.forEach(l -> l.onStart(run.state.step(), run.steps));
            while (true) {
                if (run.isValidationDue()) run.validate();
                if (run.isCheckpointDue()) run.save();
                if (run.isOver()) return run.end();
                run.step();
            }
        } finally {
            listeners.forEach(TrainListener::close);
        }
    }

    private static void requirePredictions(List<Example> examples, String kind) {
        for (int i = 0; i < examples.size(); i++) {
            if (examples.get(i).counted() == 0) {
                throw new IllegalArgumentException(
                        "%s example %d has no token to predict (its response may have been cut off); leave it out".formatted(kind, i));
            }
        }
    }

    private static void requireOwnPrompts(List<Example> examples, String kind) {
        for (int i = 0; i < examples.size(); i++) {
            Example e = examples.get(i);
            if (e.prompt() == 0 || IntStream.range(1, e.prompt()).anyMatch(t -> e.labels()[t] != Example.IGNORED))
                throw new IllegalArgumentException(
                        "%s example %d learns tokens of its prompt%s, which this adapter computes by way of all of the prompt, those tokens included; learn the response alone (no train_on_inputs)"
                                .formatted(kind, i, e.prompt() == 0 ? ", having no other part" : ""));
        }
    }

    /// One pass through [#run].
    private final class Run implements AutoCloseable {
        final Batches batches;
        final Batches held;                                                               // for the structure alone; null on a single level
        final List<Batch> validation;
        final int steps;
        final Schedule schedule;
        final Optimizer optimizer;
        TrainState state = TrainState.START;
        long savedAt;

        Run(List<Example> train, List<Example> validation) {
            List<Parameter> structure = trainee.structure();
            int kept = structure.isEmpty() ? 0
                    : Math.clamp(Math.round(config.structureShare() * train.size()), 0, Math.max(0, train.size() - 1));
            Optimizer rule = config.optimizerOf(parameters, trainee.groups(), structure, trainee.structureLearningRate(), kept > 0);
            if (!(rule instanceof Bilevel)) kept = 0;
            int[] order = Shuffle.permutation(train.size(), config.seed() ^ HELD, 0);
            List<Example> own = IntStream.of(order).limit(kept).mapToObj(train::get).toList();
            List<Example> rest = kept == 0 ? train : IntStream.of(order).skip(kept).sorted().mapToObj(train::get).toList();
            this.batches = new Batches(rest, config);
            this.held = kept == 0 ? null : new Batches(own, config.withoutDropping());
            this.steps = config.steps(batches.perEpoch());
            this.schedule = config.scheduleOver(steps);
            this.optimizer = rule;
            this.validation = validation.isEmpty() ? List.of()
                    : new Batch(validation.stream().sorted(Comparator.comparingInt(Example::length).reversed()).toList(), config.padding(),
                            config.padToMultipleOf())
                            .split(config.microBatchSize());
        }

        void step() {
            long start = System.nanoTime();
            long step = state.step();
            Batch batch = batches.next();
            Made made = make(batch, step);
            double epoch = batches.epoch() + (double) batches.position() / batches.perEpoch();
            double seconds = (System.nanoTime() - start) * 1e-9;
            var report = new StepReport(step + 1, steps, epoch, made.loss, schedule.at(step), made.norm, batch.counted(), batch.tokens(),
                    seconds);
            state = state.stepped(batches, report);
            listeners.forEach(l -> l.onStep(report));
        }

        private Made make(Batch batch, long step) {
            Made[] made = new Made[1];
            optimizer.parameters().getFirst().value().backend().together("training step", () -> made[0] = switch (optimizer) {
                case Optimizer.ByGradients rule -> descend(rule, batch, step);
                case Optimizer.ByLosses rule -> compare(rule, batch, step);
            });
            return made[0];
        }

        /// What a step saw.
        record Made(double loss, double norm) {
        }

        /// A step down the gradient.
        private Made descend(Optimizer.ByGradients rule, Batch batch, long step) {
            return descend(batch, step, DROPOUT, config.clipNorm(), grads -> {
                rule.step(grads, schedule.at(step));
                if (held != null) {
                    held.moveTo((int) (step / held.perEpoch()), (int) (step % held.perEpoch()));
                    descend(held.next(), step, HELD, 0, own -> ((Bilevel) rule).stepStructure(own, schedule.at(step)));
                }
                trainee.after(new Step(step + 1, steps, grads));
            });
        }

        /// Finds the gradients of a batch and has them used.
        private Made descend(Batch batch, long step, long draws, double clip, Consumer<Grads> use) {
            Parts parts = new Parts(batch);
            try (Scope scope = Scope.open(); Grads grads = Grads.open()) {
                List<Tensor> losses = new ArrayList<>();
                for (int i = 0; i < parts.all.size(); i++) {
                    try (Tape tape = Tape.training(Random.bits(config.seed() ^ draws, step << 20 | i))) {
                        Tensor sum = parts.sum(i);
                        losses.add(scope.keep(sum.detach()));
                        tape.backward(sum, grads);
                    }
                }
                grads.scale(1 / parts.divisor);                                          // divided once: accumulation is exact
                penalise(grads).ifPresent(losses::add);
                Read read = read(losses, grads);
                double loss = 0;
                for (int i = 0; i < losses.size(); i++) loss += read.losses[i] / (i < parts.all.size() ? parts.divisor : 1);
                requireFinite(loss, step);
                requireFinite(grads, read.norm, loss, step);
                grads.clip(read.norm, clip);
                use.accept(grads);
                return new Made(loss, read.norm);
            }
        }

        private record Read(double[] losses, double norm) {
        }

        /// All that a step has to know of what it computed, at once: each time that the host waits costs a device work.
        private static Read read(List<Tensor> losses, Grads grads) {
            if (grads.isEmpty()) return new Read(losses.stream().mapToDouble(Tensor::item).toArray(), 0);
            Tensor norms = grads.squaredNorms();
            List<Tensor> all = Stream.concat(losses.stream().map(l -> l.reshape(1)), Stream.of(norms)).toList();
            DType widest = all.stream().anyMatch(t -> t.dtype() == DType.F64) ? DType.F64 : DType.F32;
            double[] values = Tensor.cat(0, all.stream().map(t -> t.to(widest)).toArray(Tensor[]::new)).toDoubles();
            int n = losses.size();
            return new Read(Arrays.copyOf(values, n), Math.sqrt(DoubleStream.of(values).skip(n).sum()));
        }

        /// A step by losses of the same batch, without dropout.
        private Made compare(Optimizer.ByLosses rule, Batch batch, long step) {
            Parts parts = new Parts(batch);
            try (var _ = Scope.untracked()) {
                Optimizer.Seen seen = rule.step(() -> {
                    double loss = 0;
                    for (int i = 0; i < parts.all.size(); i++) {
                        try (var _ = Scope.open()) {
                            loss += parts.sum(i).item() / parts.divisor;
                        }
                    }
                    try (var _ = Scope.open()) {
                        Tensor penalty = trainee.penalty();
                        return penalty == null ? loss : loss + penalty.item();
                    }
                }, schedule.at(step));
                requireFinite(seen.loss(), step);
                requireFinite(seen.slope(), step);
                trainee.after(new Step(step + 1, steps, null));
                return new Made(seen.loss(), seen.slope());
            }
        }

        /// A batch in micro-batches. The sum of their sums, divided, is the loss of the step.
        private final class Parts {
            final List<Batch> all;
            final boolean byTokens = config.average() == TrainConfig.Average.TOKENS;
            final double divisor;

            Parts(Batch batch) {
                all = batch.split(config.microBatchSize());
                divisor = byTokens ? batch.weight() : all.size();
            }

            Tensor sum(int i) {
                Tensor sum = objective.sum(all.get(i));
                return byTokens ? sum : sum.div(all.get(i).weight());
            }
        }

        /// Adds the gradient of the trainee's penalty, and gives the penalty.
        private Optional<Tensor> penalise(Grads grads) {
            Scope outer = Scope.enclosing();
            try (Tape tape = Tape.open()) {
                Tensor penalty = trainee.penalty();
                if (penalty == null) return Optional.empty();
                Tensor value = outer.keep(penalty.detach());
                tape.backward(penalty, grads);
                return Optional.of(value);
            }
        }

        boolean isValidationDue() {
            if (validation.isEmpty() || state.step() == 0 || state.validatedAt() == state.step() || stopAsked) return false;
            return state.step() >= steps || config.evaluateEvery() > 0 && state.step() % config.evaluateEvery() == 0;
        }

        void validate() {
            long start = System.nanoTime();
            double sum = 0;
            double predicted = 0;
            for (Batch batch : validation) {
                if (stopAsked) return; // as if it had not begun; a resumed run begins with it
                try (var _ = Scope.open()) {
                    sum += objective.sum(batch).item();
                }
                predicted += batch.weight();
            }
            double loss = sum / predicted;
            if (!Double.isFinite(loss)) throw failed("after step %d the validation loss is %s".formatted(state.step(), loss));
            state = state.validated(loss);
            var report = new ValidationReport(state.step(), loss, state.best().step() == state.step(), (System.nanoTime() - start) * 1e-9);
            listeners.forEach(l -> l.onValidation(report));
        }

        boolean isOver() {
            return state.step() >= steps || stopAsked || isStale();
        }

        private boolean isStale() {
            return config.patience() > 0 && state.stale() >= config.patience();
        }

        boolean isCheckpointDue() {
            if (folder == null || savedAt == state.step()) return false;
            boolean isBest = state.validatedAt() == state.step() && state.best().step() == state.step();
            return isBest || isOver() || config.saveEvery() > 0 && state.step() % config.saveEvery() == 0;
        }

        void save() {
            savedAt = state.step();
            Path path = folder.save(state, optimizer);
            listeners.forEach(l -> l.onCheckpoint(savedAt, path));
        }

        void restore() {
            if (folder == null || folder.latest() == null) return;
            state = folder.restore(optimizer);
            savedAt = state.step();
            batches.moveTo(state.epoch(), state.position());
        }

        TrainResult end() {
            var end = state.step() >= steps ? TrainResult.End.FINISHED : isStale() ? TrainResult.End.EARLY : TrainResult.End.INTERRUPTED;
            if (folder != null && end != TrainResult.End.INTERRUPTED) folder.finish(state, optimizer, steps);
            var result = new TrainResult(end, state.step(), state.loss(), state.best(), state.tokens(), state.seconds());
            listeners.forEach(l -> l.onEnd(result));
            return result;
        }

        @Override
        public void close() {
            optimizer.close();
        }

        private void requireFinite(double loss, long step) {
            if (!Double.isFinite(loss)) throw failed("in step %d the loss is %s".formatted(step + 1, loss));
        }

        private void requireFinite(Grads grads, double norm, double loss, long step) {
            if (Double.isFinite(norm)) return;
            String where = parameters.stream().filter(p -> grads.find(p) != null && !Double.isFinite(grads.of(p).square().sum().item()))
                    .map(Parameter::name).findFirst().orElse("all parameters together");
            throw failed("in step %d the gradient of %s is not finite (the loss is %s)".formatted(step + 1, where, loss));
        }

        private TrainingFailed failed(String what) {
            String rate = "a learning rate that is too high (%s at this step; try a tenth), "
                    .formatted(schedule.at(Math.max(0, state.step() - 1)));
            String clip = config.clipNorm() == 0 && config.optimizer() != TrainConfig.Rule.MEZO ? "no clipping (clip_norm 1 is usual), "
                    : "";
            Path last = folder == null ? null : folder.latest();
            String kept = last == null ? "No checkpoint had been written." : "The last good checkpoint is " + last + ".";
            return new TrainingFailed("%s. Likely causes: %s%sbase weights or earlier checkpoints that hold such values. %s".formatted(what,
                    rate, clip, kept));
        }
    }
}
