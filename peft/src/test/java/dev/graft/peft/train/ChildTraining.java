package dev.graft.peft.train;

import dev.graft.tensor.Backends;
import dev.graft.tensor.DType;
import dev.graft.tensor.Scope;
import dev.graft.tensor.backend.MemoryStats;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Predicate;

/// A training run in a process of its own, which a test may end. It says `step n` after every step and `saved n` after every checkpoint.
final class ChildTraining {
    private ChildTraining() {
    }

    /// What the process trains.
    enum Kind {
        /// Checkpoints, validations, dropout.
        SMALL(TrainConfig.with(c -> c.steps(40).batchSize(4).microBatchSize(2).learningRate(0.05).evaluateEvery(5).saveEvery(2)
                .keepCheckpoints(2).seed(3)), 8, 13),
        /// Products and activations large enough to be shared among threads.
        WIDE(TrainConfig.with(c -> c.steps(3).batchSize(8).learningRate(0.01).warmupRatio(0)), 128, 120),
        /// Says how much memory it has, twenty times.
        LONG(TrainConfig.with(c -> c.steps(1_000).batchSize(4).microBatchSize(2).saveEvery(100)), 8, 13),
        LONGEST(TrainConfig.with(c -> c.steps(10_000).batchSize(4).microBatchSize(2).saveEvery(100)), 8, 13);

        final TrainConfig config;
        final int width;
        final int longest;

        Kind(TrainConfig config, int width, int longest) {
            this.config = config;
            this.width = width;
            this.longest = longest;
        }
    }

    /// Arguments: folder, kind.
    public static void main(String[] args) {
        Kind kind = Kind.valueOf(args[1]);
        boolean watched = kind.config.steps() >= 1000;
        try (var _ = Scope.open(); ToyLm model = new ToyLm(DType.F32, 0.1, kind.width)) {
            Trainer trainer = new Trainer(kind.config, model.loss(), model.weights()).saving(model, Path.of(args[0]))
                    .listener(new TrainListener() {
                        @Override
                        public void onStep(StepReport report) {
                            if (!watched) System.out.println("step " + report.step());
                            else if (report.step() % (report.steps() / 20) == 0) System.out.println(memory());
                        }

                        @Override
                        public void onCheckpoint(long step, Path folder) {
                            if (!watched) System.out.println("saved " + step);
                        }
                    });
            try (var _ = StopSignal.of(trainer)) {
                trainer.resume(Texts.of(23, 1, kind.longest), Texts.of(5, 2, kind.longest));
            }
        }
    }

    private static String memory() {
        System.gc();
        MemoryStats pool = Backends.best().memory();
        return "memory %d %d %d %d".formatted(pool.live(), pool.live() + pool.reserved(), pool.allocations(), residentKilobytes());
    }

    private static long residentKilobytes() {
        try {
            return Files.readAllLines(Path.of("/proc/self/status")).stream().filter(l -> l.startsWith("VmRSS:"))
                    .mapToLong(l -> Long.parseLong(l.replaceAll("\\D", "")))
                    .findFirst().orElseThrow();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /// How a test ends a process: SIGTERM, which it may answer, or SIGKILL: no hook, no finally, no flush.
    enum Signal {
        TERM(128 + 15), KILL(128 + 9);

        final int status;

        Signal(int status) {
            this.status = status;
        }
    }

    /// Runs it to its end; returns what it said.
    static List<String> run(Path folder, Kind kind, String... jvmOptions) throws IOException, InterruptedException {
        return run(folder, kind, List.of(jvmOptions), null, _ -> false);
    }

    /// Runs it until a line of its output makes the test end it, if one does.
    static List<String> run(Path folder, Kind kind, List<String> jvmOptions, Signal signal, Predicate<String> end)
            throws IOException, InterruptedException {
        List<String> command = new ArrayList<>(
                List.of(Path.of(System.getProperty("java.home"), "bin", "java").toString(), "--add-modules", "jdk.incubator.vector",
                        "--enable-native-access=ALL-UNNAMED", "-XX:+UseSerialGC", "-Xmx128m"));
        command.addAll(jvmOptions);
        command.addAll(
                List.of("-cp", System.getProperty("java.class.path"), ChildTraining.class.getName(), folder.toString(), kind.name()));
        Process child = new ProcessBuilder(command).redirectErrorStream(true).start();
        List<String> said = new ArrayList<>();
        boolean ended = false;
        try (BufferedReader out = child.inputReader()) {
            for (String line; (line = out.readLine()) != null;) {
                said.add(line);
                if (!ended && end.test(line))
                    ended = signal == Signal.KILL ? child.toHandle().destroyForcibly() : child.toHandle().destroy();
            }
        }
        int status = child.waitFor();
        if (status != 0 && !(ended && status == signal.status))
            throw new AssertionError("status %d:%n%s".formatted(status, String.join("\n", said)));
        return said;
    }
}
