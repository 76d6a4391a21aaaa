package dev.graft.bench;

import java.lang.reflect.Field;
import java.util.Arrays;
import java.util.Map;
import java.util.Objects;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;
import java.util.stream.DoubleStream;
import java.util.stream.IntStream;
import org.openjdk.jmh.infra.BenchmarkParams;
import org.openjdk.jmh.results.BenchmarkResult;
import org.openjdk.jmh.results.RunResult;

/// One bench at one set of parameters: the time of a call over all JVMs, and what a call costs.
///
/// @param perJvm median seconds a call, one per fresh JVM
/// @param samples seconds a call of every iteration
/// @param peer what of ours it stands beside, if it is another library's; else null
/// @param baseline parameters of the result that it is measured by, where its bench has one; else null
/// @param turns per JVM, its time by its baseline's where the two took turns in it; else null
/// @param peakResident most bytes of physical memory that any of the processes held; null where the system does not say
/// @param mappedResident how many of them were pages of mapped files
public record Result(String bench, Map<String, String> params, int threads, double[] perJvm, double[] samples, double flops, double bytes,
        double tokens, Peer peer, Map<String, String> baseline, double[] turns, Double peakResident, Double mappedResident) {

    static Result of(RunResult run, int threads) {
        BenchmarkParams p = run.getParams();
        Map<String, String> params = new TreeMap<>();
        for (String key : p.getParamsKeys()) params.put(key, p.getParam(key));
        double unit = p.getTimeUnit().toNanos(1) / (double) TimeUnit.SECONDS.toNanos(1);
        double[] perJvm = run.getBenchmarkResults().stream().mapToDouble(r -> median(times(r).map(t -> t * unit).toArray())).toArray();
        double[] samples = run.getBenchmarkResults().stream().flatMapToDouble(r -> times(r).map(t -> t * unit)).toArray();
        Object bench = instance(p, params);
        String method = p.getBenchmark().substring(p.getBenchmark().lastIndexOf('.') + 1);
        Work work = bench instanceof Work.PerMethod known ? known.workOf(method) : new Work(0, 0);
        Peer peer = bench instanceof Peer.Known known ? known.peer() : null;
        Map<String, String> baseline = bench instanceof Baseline known ? known.baseline() : null;
        String name = p.getBenchmark().replace("dev.graft.bench.", "");
        return new Result(name, params, threads, perJvm, samples, work.flops(), work.bytes(), work.tokens(), peer, baseline,
                Beside.ratios(run), memory(run, PeakResident.LABEL), memory(run, PeakResident.MAPPED));
    }

    /// This and a later measurement of the same, as one.
    Result and(Result later) {
        return new Result(bench, params, threads, joined(perJvm, later.perJvm), joined(samples, later.samples), flops, bytes, tokens, peer,
                baseline, turns == null || later.turns == null ? null : joined(turns, later.turns),
                larger(peakResident, later.peakResident), larger(mappedResident, later.mappedResident));
    }

    private static Double larger(Double a, Double b) {
        return a == null || b == null ? null : Double.valueOf(Math.max(a, b));
    }

    private static double[] joined(double[] first, double[] second) {
        return DoubleStream.concat(Arrays.stream(first), Arrays.stream(second)).toArray();
    }

    /// Median over the JVMs of their medians.
    public double seconds() {
        return median(perJvm);
    }

    /// Whether the other is another library's and does what this does, on as many threads.
    boolean standsBeside(Result other) {
        return other.peer != null && threads == other.threads && bench.equals(other.peer.bench())
                && params.entrySet().containsAll(other.peer.params().entrySet());
    }

    /// Whether the other is the one that this is measured by.
    boolean isMeasuredBy(Result other) {
        if (baseline == null || threads != other.threads || !bench.equals(other.bench)) return false;
        Map<String, String> wanted = new TreeMap<>(params);
        wanted.putAll(baseline);
        return wanted.equals(other.params);
    }

    /// Its time by that of the other: as they took turns in each JVM, else round by round, so that a slow stretch of the machine hits both; of all JVMs together where they were not as many.
    double[] ratios(Result base) {
        if (turns != null) return turns;
        if (perJvm.length != base.perJvm.length) return new double[] {seconds() / base.seconds()};
        return IntStream.range(0, perJvm.length).mapToDouble(i -> perJvm[i] / base.perJvm[i]).toArray();
    }

    private static DoubleStream times(BenchmarkResult r) {
        return r.getIterationResults().stream().mapToDouble(i -> i.getPrimaryResult().getScore() * Beside.share(r));
    }

    private static Double memory(RunResult run, String label) {
        return run.getBenchmarkResults().stream().map(r -> r.getSecondaryResults().get(label)).filter(Objects::nonNull)
                .map(r -> r.getScore()).max(Double::compare).orElse(null);
    }

    static double median(double[] values) {
        double[] sorted = values.clone();
        Arrays.sort(sorted);
        int n = sorted.length;
        return n % 2 == 1 ? sorted[n / 2] : (sorted[n / 2 - 1] + sorted[n / 2]) / 2;
    }

    /// An instance of the bench with these parameters set, to be asked what it knows of itself.
    private static Object instance(BenchmarkParams p, Map<String, String> params) {
        String before = System.setProperty("graft.threads", threads(p));
        try {
            Object bench = Class.forName(p.getBenchmark().substring(0, p.getBenchmark().lastIndexOf('.'))).getDeclaredConstructor()
                    .newInstance();
            for (Field field : bench.getClass().getFields()) {                       // others are those of a state of its own
                if (params.containsKey(field.getName())) set(bench, field, params.get(field.getName()));
            }
            return bench;
        } catch (ReflectiveOperationException e) {
            throw new IllegalStateException("cannot ask " + p.getBenchmark() + " for its work", e);
        } finally {
            if (before == null) System.clearProperty("graft.threads");
            else System.setProperty("graft.threads", before);
        }
    }

    private static String threads(BenchmarkParams p) {
        return p.getJvmArgs().stream().filter(a -> a.startsWith("-Dgraft.threads=")).reduce((_, last) -> last).orElseThrow().substring(16);
    }

    @SuppressWarnings({"unchecked", "rawtypes"})
    private static void set(Object bench, Field field, String value) throws IllegalAccessException {
        Class<?> type = field.getType();
        if (type.isEnum()) field.set(bench, Enum.valueOf((Class<? extends Enum>) type, value));
        else if (type == int.class) field.setInt(bench, Integer.parseInt(value));
        else if (type == boolean.class) field.setBoolean(bench, Boolean.parseBoolean(value));
        else field.set(bench, value);
    }
}
