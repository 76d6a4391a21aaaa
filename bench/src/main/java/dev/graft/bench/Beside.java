package dev.graft.bench;

import java.util.Arrays;
import java.util.Collection;
import java.util.List;
import java.util.concurrent.atomic.DoubleAdder;
import org.openjdk.jmh.infra.BenchmarkParams;
import org.openjdk.jmh.infra.IterationParams;
import org.openjdk.jmh.profile.InternalProfiler;
import org.openjdk.jmh.results.AggregationPolicy;
import org.openjdk.jmh.results.BenchmarkResult;
import org.openjdk.jmh.results.IterationResult;
import org.openjdk.jmh.results.Result;
import org.openjdk.jmh.results.RunResult;
import org.openjdk.jmh.results.ScalarResult;

/// Time of a bench and of its [Baseline], which take turns within one call: a machine that is slower for a minute is so for both, and their ratio stands. A bench that does so has both timed
/// here; of a call's time, its own is its share.
public final class Beside implements InternalProfiler {
    private static final String OWN = "own time", BASELINE = "baseline's time";
    private static final DoubleAdder own = new DoubleAdder(), baseline = new DoubleAdder();

    /// Times a part of the bench itself.
    public static void own(Runnable part) {
        time(part, own);
    }

    /// Times the same part by the baseline.
    public static void baseline(Runnable part) {
        time(part, baseline);
    }

    private static void time(Runnable part, DoubleAdder sum) {
        long start = System.nanoTime();
        part.run();
        sum.add((System.nanoTime() - start) / 1e9);
    }

    @Override
    public void beforeIteration(BenchmarkParams bench, IterationParams iteration) {
        own.reset();
        baseline.reset();
    }

    @Override
    public Collection<? extends Result<?>> afterIteration(BenchmarkParams bench, IterationParams iteration, IterationResult result) {
        if (baseline.sum() == 0) return List.of();
        return List.of(new ScalarResult(OWN, own.sum(), "s", AggregationPolicy.SUM),
                new ScalarResult(BASELINE, baseline.sum(), "s", AggregationPolicy.SUM));
    }

    @Override
    public String getDescription() {
        return "Time beside the baseline's";
    }

    /// Their ratio in each JVM; null where a bench does not take turns.
    static double[] ratios(RunResult run) {
        double[] ratios = run.getBenchmarkResults().stream().mapToDouble(r -> seconds(r, OWN) / seconds(r, BASELINE)).toArray();
        return Arrays.stream(ratios).allMatch(Double::isFinite) ? ratios : null;
    }

    /// The part of a call's time that is not its baseline's; 1 where there is none.
    static double share(BenchmarkResult of) {
        double mine = seconds(of, OWN), other = seconds(of, BASELINE);
        return Double.isNaN(other) ? 1 : mine / (mine + other);
    }

    private static double seconds(BenchmarkResult of, String name) {
        Result<?> sum = of.getSecondaryResults().get(name);
        return sum == null ? Double.NaN : sum.getScore();
    }
}
