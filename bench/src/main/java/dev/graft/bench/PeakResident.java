package dev.graft.bench;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import org.openjdk.jmh.infra.BenchmarkParams;
import org.openjdk.jmh.infra.IterationParams;
import org.openjdk.jmh.profile.InternalProfiler;
import org.openjdk.jmh.results.AggregationPolicy;
import org.openjdk.jmh.results.IterationResult;
import org.openjdk.jmh.results.Result;
import org.openjdk.jmh.results.ScalarResult;

/// The most physical memory that a bench's process ever held (`VmHWM` of `/proc`, Linux only), its set-up and the JVM itself included, and how much of it is
/// pages of mapped files (`RssFile`), which the system can take back; of a bench whose work another process does, that one's.
public final class PeakResident implements InternalProfiler {
    static final String LABEL = "peak resident";
    static final String MAPPED = "resident of mapped files";

    private static final Map<String, String> LINES = Map.of("VmHWM:", LABEL, "RssFile:", MAPPED);

    private static volatile Path status = Path.of("/proc/self/status");

    /// From now on this process is the one that counts.
    public static void watch(ProcessHandle process) {
        status = Path.of("/proc/" + process.pid() + "/status");
    }

    @Override
    public void beforeIteration(BenchmarkParams bench, IterationParams iteration) {
    }

    @Override
    public Collection<? extends Result<?>> afterIteration(BenchmarkParams bench, IterationParams iteration, IterationResult result) {
        if (!Files.exists(status)) return List.of();
        try {
            return Files.readAllLines(status).stream().map(l -> l.split("\\s+")).filter(l -> LINES.containsKey(l[0]))
                    .map(l -> new ScalarResult(LINES.get(l[0]), 1024.0 * Long.parseLong(l[1]), "bytes", AggregationPolicy.MAX)).toList();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    @Override
    public String getDescription() {
        return "Peak resident memory of the process";
    }
}
