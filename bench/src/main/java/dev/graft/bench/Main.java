package dev.graft.bench;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.openjdk.jmh.results.RunResult;
import org.openjdk.jmh.runner.Runner;
import org.openjdk.jmh.runner.RunnerException;
import org.openjdk.jmh.runner.options.ChainedOptionsBuilder;
import org.openjdk.jmh.runner.options.CommandLineOptionException;
import org.openjdk.jmh.runner.options.CommandLineOptions;
import org.openjdk.jmh.runner.options.OptionsBuilder;

/// The benches' command line: JMH's own, with two additions.
///
/// ```
/// graft bench PATTERN… [JMH options] [--threads 1,2] [--out FILE]     runs, prints shares of the machine's peak, writes JSON
/// graft bench report [DIR]                                            writes DIR/RESULTS.md from DIR/results/*.json
/// ```
public final class Main {
    private static final List<String> JVM = List.of("--add-modules", "jdk.incubator.vector", "--enable-native-access=ALL-UNNAMED",
            "-Xmx2g");

    private Main() {
    }

    public static void main(String[] args) throws IOException, RunnerException {
        if (args.length == 0 || List.of("help", "-h", "--help").contains(args[0])) {
            System.out.println(HELP);
            return;
        }
        try {
            if (args[0].equals("report")) report(Path.of(args.length > 1 ? args[1] : "bench"));
            else run(new ArrayList<>(List.of(args)));
        } catch (CommandLineOptionException | IllegalArgumentException e) {
            System.err.println("graft bench: " + e.getMessage());
            System.exit(2);
        }
    }

    private static void run(List<String> args) throws IOException, RunnerException, CommandLineOptionException {
        List<String> command = List.copyOf(args);
        List<String> threads = List.of(option(args, "--threads", String.valueOf(Runtime.getRuntime().availableProcessors())).split(","));
        String out = option(args, "--out", null);
        List<Result> results = new ArrayList<>();
        for (String t : threads) {
            List<String> jvm = new ArrayList<>(JVM);
            jvm.add("-Dgraft.threads=" + Integer.parseInt(t));
            ChainedOptionsBuilder options = new OptionsBuilder().parent(new CommandLineOptions(args.toArray(String[]::new)))
                    .jvmArgsPrepend(jvm.toArray(String[]::new)).addProfiler(PeakResident.class).shouldFailOnError(true);
            for (RunResult r : new Runner(options.build()).run()) results.add(Result.of(r, Integer.parseInt(t)));
        }
        Ledger ledger = new Ledger(Environment.here(command), results);
        System.out.println(ledger.table());
        if (out != null) {
            ledger.write(Path.of(out));
            System.out.println("wrote " + out);
        }
    }

    private static void report(Path dir) throws IOException {
        Path results = dir.resolve("results");
        if (!Files.isDirectory(results))
            throw new IllegalArgumentException("no folder " + results + "; run a bench with --out " + results + "/NAME.json first");
        List<Path> files;
        try (var list = Files.list(results)) {
            files = list.filter(f -> f.toString().endsWith(".json")).sorted().toList();
        }
        Path target = dir.resolve("RESULTS.md");
        Files.writeString(target, Report.of(files));
        System.out.println("wrote " + target);
    }

    /// Takes an option of ours and its value out of the arguments.
    private static String option(List<String> args, String name, String otherwise) {
        int at = args.indexOf(name);
        if (at < 0) return otherwise;
        if (at + 1 >= args.size()) throw new IllegalArgumentException(name + " needs a value");
        args.remove(at);
        return args.remove(at);
    }

    private static final String HELP = """
            usage: graft bench PATTERN... [JMH options] [--threads 1,2] [--out FILE]
                   graft bench report [DIR]

            Runs the JMH benches whose names match, each in fresh JVMs, and prints time, GFLOP/s, GB/s and, when PeakBench
            is among them, the share of the peak that the same run measured. --out keeps everything as JSON.

              graft bench 'MatMulBench|PeakBench' --threads 1,2 --out bench/results/gemm.json
              graft bench MatMulBench -p shape=512x2048x2048 -p form=NT -f 1
              graft bench -lp            all benches and their parameters
              graft bench report         bench/RESULTS.md from bench/results/*.json
            """;
}
