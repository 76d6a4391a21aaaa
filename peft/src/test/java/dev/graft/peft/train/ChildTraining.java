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

/// A training run in a process of its own, which a test may kill. It says `step n` after every step, `saved n` after every checkpoint, and
/// `memory` lines when asked to.
final class ChildTraining {
    private ChildTraining() {
    }

    static TrainConfig config(int steps) {
        return TrainConfig.with(c -> c.steps(steps).batchSize(4).microBatchSize(2).learningRate(0.05).evaluateEvery(5).saveEvery(2).keepCheckpoints(2).seed(3));
    }

    /// Arguments: folder, steps, steps between `memory` lines (0: none).
    public static void main(String[] args) {
        int watched = Integer.parseInt(args[2]);
        try (var _ = Scope.open(); ToyLm model = new ToyLm(DType.F32, 0.1)) {
            TrainConfig config = watched == 0 ? config(Integer.parseInt(args[1])) : TrainConfig.with(c -> c.steps(Integer.parseInt(args[1])).batchSize(4).microBatchSize(2).saveEvery(100));
            new Trainer(config, model.loss(), model.weights()).saving(model, Path.of(args[0])).listener(new TrainListener() {
                @Override
                public void onStep(StepReport report) {
                    if (watched == 0) System.out.println("step " + report.step());
                    else if (report.step() % watched == 0) System.out.println(memory());
                }

                @Override
                public void onCheckpoint(long step, Path folder) {
                    if (watched == 0) System.out.println("saved " + step);
                }
            }).resume(Texts.of(23, 1), Texts.of(5, 2));
        }
    }

    private static String memory() {
        System.gc();
        MemoryStats pool = Backends.best().memory();
        return "memory %d %d %d %d".formatted(pool.live(), pool.live() + pool.reserved(), pool.allocations(), residentKilobytes());
    }

    private static long residentKilobytes() {
        try {
            return Files.readAllLines(Path.of("/proc/self/status")).stream().filter(l -> l.startsWith("VmRSS:")).mapToLong(l -> Long.parseLong(l.replaceAll("\\D", "")))
                    .findFirst().orElseThrow();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /// Runs it until it ends, or until a line of its output makes the test kill it; returns what it said. SIGKILL: no hook, no finally, no flush.
    static List<String> run(Path folder, int steps, int watched, List<String> jvmOptions, Predicate<String> kill) throws IOException, InterruptedException {
        List<String> command = new ArrayList<>(List.of(Path.of(System.getProperty("java.home"), "bin", "java").toString(), "--add-modules", "jdk.incubator.vector",
                "--enable-native-access=ALL-UNNAMED", "-XX:+UseSerialGC", "-Xmx128m"));
        command.addAll(jvmOptions);
        command.addAll(List.of("-cp", System.getProperty("java.class.path"), ChildTraining.class.getName(), folder.toString(), "" + steps, "" + watched));
        Process child = new ProcessBuilder(command).redirectErrorStream(true).start();
        List<String> said = new ArrayList<>();
        boolean killed = false;
        try (BufferedReader out = child.inputReader()) {
            for (String line; (line = out.readLine()) != null;) {
                said.add(line);
                if (!killed && kill.test(line)) killed = child.toHandle().destroyForcibly();
            }
        }
        int status = child.waitFor();
        if (status != 0 && !(killed && status == 128 + 9)) throw new AssertionError("status %d:%n%s".formatted(status, String.join("\n", said)));
        return said;
    }
}
