package dev.graft.bench;

import dev.graft.peft.Adapters;
import dev.graft.peft.Method;
import dev.graft.tensor.Backends;
import dev.graft.tensor.TensorException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import org.openjdk.jmh.runner.NoBenchmarksException;
import org.openjdk.jmh.runner.Runner;
import org.openjdk.jmh.runner.RunnerException;
import org.openjdk.jmh.runner.options.ChainedOptionsBuilder;
import org.openjdk.jmh.runner.options.CommandLineOptionException;
import org.openjdk.jmh.runner.options.CommandLineOptions;
import org.openjdk.jmh.runner.options.OptionsBuilder;

/// The benches' command line: JMH's own, with a few additions.
///
/// ```
/// graft bench [--peers] PATTERN… [JMH options] [--backend cuda:0] [--threads 1,2] [--rounds N] [--out FILE]     runs, prints tables, writes JSON
/// graft bench report [DIR]                                                                   writes DIR/RESULTS.md from DIR/results/*.json
/// ```
public final class Main {
    private static final List<String> JVM = List.of("--add-modules", "jdk.incubator.vector", "--enable-native-access=ALL-UNNAMED",
            "-Xmx2g");

    private static final String ALL_METHODS = Adapters.ALL.stream().map(Method::name).collect(Collectors.joining(","));

    private Main() {
    }

    public static void main(String[] args) throws IOException {
        List<String> rest = new ArrayList<>(List.of(args));
        boolean peers = rest.remove("--peers");
        if (rest.isEmpty() || List.of("help", "-h", "--help").contains(rest.getFirst())) {
            System.out.println(HELP);
            return;
        }
        try {
            if (peers && System.getProperty("graft.peers") == null)
                throw new IllegalArgumentException(
                        "--peers comes first, ./graft bench --peers PATTERN...: the launcher builds what it needs");
            if (rest.getFirst().equals("report")) report(Path.of(rest.size() > 1 ? rest.get(1) : "bench"));
            else run(rest, List.of(args));
        } catch (NoBenchmarksException e) {
            System.err.println(
                    "graft bench: no bench has this name; graft bench -l lists them, with --peers first those of other libraries, too");
            System.exit(2);
        } catch (CommandLineOptionException | IllegalArgumentException | TensorException e) {
            System.err.println("graft bench: " + e.getMessage());
            System.exit(2);
        } catch (RunnerException e) {
            System.err.println("graft bench: a bench failed; what it said is above. " + e.getMessage());
            System.exit(1);
        }
    }

    private static void run(List<String> args, List<String> command) throws IOException, RunnerException, CommandLineOptionException {
        List<String> threads = List.of(option(args, "--threads", String.valueOf(Runtime.getRuntime().availableProcessors())).split(","));
        int rounds = Integer.parseInt(option(args, "--rounds", "1"));
        String out = option(args, "--out", null), backend = option(args, "--backend", "cpu");
        args.replaceAll(a -> a.equals("method=all") ? "method=" + ALL_METHODS : a);
        CommandLineOptions jmh = new CommandLineOptions(args.toArray(String[]::new));
        if (jmh.shouldList() || jmh.shouldListWithParams()) {
            if (jmh.shouldList()) new Runner(jmh).list();
            else new Runner(jmh).listWithParams(jmh);
            return;
        }
        Environment environment = Environment.here(Backends.named(backend), command);
        Map<List<Object>, Result> results = new LinkedHashMap<>();
        for (int round = 0; round < rounds; round++) {
            for (String t : threads) {
                for (Result r : measure(jmh, backend, Integer.parseInt(t), rounds > 1)) {
                    results.merge(List.of(r.bench(), r.params(), r.threads()), r, Result::and);
                }
            }
            Ledger ledger = new Ledger(environment, List.copyOf(results.values()));
            System.out.println(ledger.tables());
            if (out != null) ledger.write(Path.of(out));                         // each round: a run is long, and its last bench may fail
        }
        if (out != null) System.out.println("wrote " + out);
    }

    private static List<Result> measure(CommandLineOptions jmh, String backend, int threads, boolean onceEach) throws RunnerException {
        List<String> jvm = new ArrayList<>(JVM);
        jvm.add("-Dgraft.backend=" + backend);
        jvm.add("-Dgraft.threads=" + threads);
        ChainedOptionsBuilder options = new OptionsBuilder().parent(jmh).jvmArgsPrepend(jvm.toArray(String[]::new))
                .addProfiler(PeakResident.class).addProfiler(Beside.class).shouldFailOnError(true);
        if (!backend.startsWith("cuda") && jmh.getIncludes().stream().noneMatch(i -> i.contains("Gpu")))
            options.exclude("\\.GpuPeakBench\\.");                                      // which 'PeakBench' would mean, too
        if (onceEach && !jmh.getForkCount().hasValue()) options.forks(1);
        return new Runner(options.build()).run().stream().map(r -> Result.of(r, threads)).toList();
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
            usage: graft bench [--peers] PATTERN... [JMH options] [--backend NAME] [--threads 1,2] [--rounds N] [--out FILE]
                   graft bench report [DIR]

            Runs the JMH benches whose names match, each in five fresh JVMs, and prints time, tokens/s, GFLOP/s, GB/s, peak
            memory and, when PeakBench is among them, the share of the peak that the same run measured. docs/benchmarks.md
            tells what each bench measures and how to get figures that mean something.

              --backend NAME  what computes: cpu, which is the default, cuda:0 …
              --threads 1,2   runs everything with each of these numbers of threads; default: all cores
              --rounds N      goes N times over all benches, one JVM each, in place of five JVMs in a row: a slow minute of
                              the machine then hits all alike
              --out FILE      keeps everything as JSON
              --peers         adds the benches of other libraries, and their ratio to ours; comes first. What it downloads
                              the first time are several hundred megabytes.

              graft bench 'MatMulBench|PeakBench' --threads 1,2 --out bench/results/gemm.json
              graft bench MatMulBench -p shape=512x2048x2048 -p form=NT -f 1
              graft bench --peers 'TrainingStepBench|LibtorchStepBench' --threads 1,2 --rounds 5
              graft bench MethodStepBench -p method=all      a training step of each of graft methods
              graft bench -lp            all benches and their parameters
              graft bench report         bench/RESULTS.md from bench/results/*.json
            """;
}
