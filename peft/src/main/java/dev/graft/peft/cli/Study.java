package dev.graft.peft.cli;

import dev.graft.models.io.AtomicFile;
import dev.graft.models.io.Checkpoint;
import dev.graft.models.io.Json;
import dev.graft.models.io.JsonObject;
import dev.graft.peft.study.Cell;
import dev.graft.peft.study.StudyConfig;
import dev.graft.peft.study.StudyPlots;
import dev.graft.peft.study.StudyReport;
import dev.graft.peft.study.StudyResults;
import dev.graft.peft.study.TestSet;
import dev.graft.peft.train.Checkpoints;
import dev.graft.tensor.Backends;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/// Compares methods, places and sizes: each cell of a grid is what `graft tune` and `graft eval` do, so any of them can be repeated alone.
@Command(name = "study", mixinStandardHelpOptions = true, sortOptions = false,
        description = "Trains and evaluates a grid of models, methods, places, sizes, learning rates and seeds.", footer = {
                "",
                "OUTPUT gets results.jsonl, a line per cell, report.md with its pictures, and of each cell the adapter, its metrics and answers. The same command goes on after an interruption, and tries cells again that failed. docs/study.md explains the config. Example:",
                "  graft study --config docs/study/config.json --output my-study"})
final class Study implements Callable<Integer> {
    @Spec
    private CommandSpec spec;

    @Option(names = "--config", required = true, paramLabel = "FILE", description = "What is compared, as JSON.")
    private Path configFile;

    @Option(names = "--output", required = true, paramLabel = "DIR", description = "Where everything goes.")
    private Path output;

    private StudyConfig config;
    private StudyResults results;
    private StudyInputs inputs;

    /// A cell did not come to an end; the message is what the command said.
    private static final class CellFailed extends RuntimeException {
        private static final long serialVersionUID = 1;

        CellFailed(String message) {
            super(message);
        }
    }

    @Override
    public Integer call() throws IOException {
        config = StudyConfig.read(configFile);
        Files.createDirectories(output);
        try (FileChannel channel = FileChannel.open(output.resolve(".lock"), StandardOpenOption.CREATE, StandardOpenOption.WRITE);
                FileLock lock = channel.tryLock()) {
            if (lock == null) throw new IllegalStateException("another study is running in " + output);
            results = StudyResults.open(output.resolve("results.jsonl"));
            inputs = StudyInputs.prepare(config, output.resolve("data"));
            for (Cell cell : config.cells()) results.requireSame(cell, inputs.of(cell));
            inputs.write();
            return run();
        }
    }

    private int run() throws IOException {
        List<Cell> cells = config.cells();
        List<Cell> toDo = cells.stream().filter(c -> !results.isDone(c)).toList();
        out().printf("%d cells, %d to do%n", cells.size(), toDo.size());
        double spent = 0;
        int failed = 0;
        for (int i = 0; i < toDo.size(); i++) {
            Cell cell = toDo.get(i);
            out().printf("cell %d of %d: %s%s%n", cells.size() - toDo.size() + i + 1, cells.size(), cell.id(),
                    i == 0 ? "" : "; left " + time(spent / i * (toDo.size() - i)));
            out().flush();
            long start = System.nanoTime();
            Map<String, Object> line;
            try {
                line = run(cell);
                if (line == null) {
                    out().println("interrupted; the same command goes on from there");
                    out().flush();
                    return 0;
                }
            } catch (CellFailed e) {
                failed++;
                line = Map.of("error", e.getMessage());
            }
            spent += (System.nanoTime() - start) / 1e9;
            results.put(cell, line);
            if (results.isDone(cell)) Checkpoints.removeAll(cell.folder(output));
            out().println("  " + said(line));
            report();
        }
        report();
        out().println("wrote " + output.resolve("report.md"));
        if (failed == 0) return 0;
        throw new IllegalStateException("%d of %d cells failed; %s says why, and the same command tries them again"
                .formatted(failed, cells.size(), output.resolve("report.md")));
    }

    private static String said(Map<String, Object> line) {
        if (line.containsKey("error")) return "failed: " + line.get("error");
        StringBuilder text = new StringBuilder();
        ((Map<?, ?>) line.get("accuracy")).forEach((test, a) -> text.append(text.isEmpty() ? "" : ", ").append(test).append(' ')
                .append(String.format(Locale.ROOT, "%.1f %%", 100 * (double) a)));
        return text.toString();
    }

    private static String time(double seconds) {
        Duration left = Duration.ofSeconds(Math.round(seconds));
        return "%d:%02d:%02d".formatted(left.toHours(), left.toMinutesPart(), left.toSecondsPart());
    }

    private void report() throws IOException {
        List<String> tests = List.copyOf(config.tests().keySet());
        List<String> pictures = StudyPlots.draw(config.cells(), tests, results, output);
        String text = StudyReport.of(config.cells(), tests, results, pictures);
        AtomicFile.write(output.resolve("report.md"), channel -> channel.write(ByteBuffer.wrap(text.getBytes(StandardCharsets.UTF_8))));
    }

    // ---- a cell ----

    /// What results say of the cell; null when it was interrupted.
    private Map<String, Object> run(Cell cell) throws IOException {
        Backends.best().restartPeak();
        Path folder = cell.folder(output);
        begin(cell, folder);
        Map<String, Object> line = new LinkedHashMap<>();
        if (!cell.isBare()) {
            graft(folder, tune(cell, folder));
            JsonObject training = Json.read(folder.resolve("training.json"));
            if (training.requireString("end").equals("interrupted")) return null;
            line.put("model_parameters", training.requireLong("model_parameters"));
            line.put("trainable_parameters", training.requireLong("trainable_parameters"));
            line.put("final_loss", training.requireDouble("loss"));
            Object heldOut = training.toMap().get("best_validation_loss");
            if (heldOut != null) line.put("held_out_loss", heldOut);
            line.put("steps", training.requireLong("step"));
            line.put("examples", training.requireLong("step") * config.training().batchSize());
            line.put("training_seconds", training.requireDouble("seconds"));
            line.put("tokens_per_second", training.requireDouble("tokens_per_second"));
        }
        Map<String, Object> accuracy = new LinkedHashMap<>();
        Map<String, Object> majority = new LinkedHashMap<>();
        for (TestSet test : config.tests().values()) {
            Path to = folder.resolve("eval").resolve(test.name());
            graft(folder, eval(cell, test, folder, to));
            JsonObject summary = Json.read(summary(to));
            accuracy.put(test.name(), summary.requireDouble("accuracy"));
            majority.put(test.name(), summary.requireDouble("majority_baseline"));
        }
        line.put("accuracy", accuracy);
        line.put("majority_baseline", majority);
        line.put("peak_tensor_bytes", Backends.best().memory().peak());
        line.put("graft", Version.number());
        line.putAll(inputs.of(cell));
        if (!cell.isBare()) {
            try (Checkpoint adapter = Checkpoint.openAdapter(folder)) {
                line.put("adapter_sha256", Digest.each(adapter.files()));
            }
        }
        return line;
    }

    /// What is left of an earlier try is gone on with if it was made from the same, and else thrown away.
    private void begin(Cell cell, Path folder) throws IOException {
        Path about = folder.resolve("made-from.json");
        String now = Json.format(inputs.of(cell));
        if (Files.isDirectory(folder) && !(Files.exists(about) && Files.readString(about).equals(now))) Checkpoints.delete(folder);
        Files.createDirectories(folder);
        AtomicFile.write(about, channel -> channel.write(ByteBuffer.wrap(now.getBytes(StandardCharsets.UTF_8))));
    }

    private List<String> tune(Cell cell, Path folder) {
        List<String> args = new ArrayList<>(List.of("tune", "--model", model(cell), "--data", inputs.train().toString(),
                "--method", cell.of(), "--output", folder.toString(), "--resume", "--config", inputs.training().toString(),
                "--learning-rate",
                Double.toString(cell.learningRate()), "--seed", Long.toString(cell.seed()), "--template", config.template().name(),
                "--cutoff-len", Integer.toString(config.cutoffLen()), "--train-on-inputs=" + config.trainOnInputs(), "--weights",
                config.weights().name()));
        if (config.validation() != null) args.addAll(List.of("--validation-data", inputs.validation().toString()));
        cell.fields().forEach((field, value) -> args.add(MethodOptions.optionName(field) + "=" + MethodOptions.text(value)));
        return args;
    }

    private List<String> eval(Cell cell, TestSet test, Path folder, Path to) {
        List<String> args = new ArrayList<>(List.of("eval", "--model", model(cell), "--output", to.toString(), "--resume", "--template",
                config.template().name(), "--beams", Integer.toString(config.beams()), "--batch-size",
                Integer.toString(config.batchSize()), "--weights", config.weights().name()));
        if (!cell.isBare()) args.addAll(List.of("--adapter", folder.toString()));
        if (test.task() != null) args.addAll(List.of("--task", test.task(), "--data-root", test.dataRoot().toString()));
        else args.addAll(List.of("--data", inputs.file(test).toString(), "--kind", test.kind().name()));
        if (!test.alternatives().isEmpty()) args.addAll(List.of("--alternatives", String.join(",", test.alternatives())));
        if (test.maxNewTokens() > 0) args.addAll(List.of("--max-new-tokens", Integer.toString(test.maxNewTokens())));
        if (test.limit() > 0) args.addAll(List.of("--limit", Integer.toString(test.limit())));
        return args;
    }

    /// Runs a command as if it were typed. What it says goes to the cell's log; progress is shown on the terminal all the same.
    private static void graft(Path folder, List<String> args) throws IOException {
        StringWriter said = new StringWriter();
        StringWriter wrong = new StringWriter();
        CommandLine line = Main.commandLine().setOut(new PrintWriter(said)).setErr(new PrintWriter(wrong))
                .setColorScheme(CommandLine.Help.defaultColorScheme(CommandLine.Help.Ansi.OFF));
        int code = Main.execute(line, args.toArray(String[]::new));
        Files.writeString(folder.resolve("log.txt"),
                "graft " + args.stream().map(Study::quoted).collect(Collectors.joining(" ")) + "\n" + said + wrong,
                StandardOpenOption.CREATE, StandardOpenOption.APPEND);
        if (code != CommandLine.ExitCode.OK) throw new CellFailed(wrong.toString().strip());
    }

    /// As a shell takes it.
    private static String quoted(String arg) {
        return arg.matches("[\\w./:=,@+-]+") ? arg : "'" + arg.replace("'", "'\\''") + "'";
    }

    private String model(Cell cell) {
        return config.models().get(cell.model()).toString();
    }

    private static Path summary(Path folder) throws IOException {
        try (Stream<Path> files = Files.list(folder)) {
            return files.filter(f -> f.getFileName().toString().endsWith(".summary.json")).findFirst().orElseThrow();
        }
    }

    private PrintWriter out() {
        return spec.commandLine().getOut();
    }
}
