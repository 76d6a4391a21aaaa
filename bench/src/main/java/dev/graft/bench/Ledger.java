package dev.graft.bench;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.SerializationFeature;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.ToDoubleFunction;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/// The results of one run, with where they were measured: one JSON file.
public record Ledger(Environment environment, List<Result> results) {
    private static final ObjectMapper JSON = new ObjectMapper().enable(SerializationFeature.INDENT_OUTPUT);

    /// What the JVM itself maps is less.
    private static final double JVM_FILES = 64e6;

    static Ledger read(Path file) throws IOException {
        return JSON.readValue(file.toFile(), Ledger.class);
    }

    void write(Path file) throws IOException {
        if (file.toAbsolutePath().getParent() != null) Files.createDirectories(file.toAbsolutePath().getParent());
        JSON.writeValue(file.toFile(), this);
    }

    /// A Markdown table: time, rates, and shares of the peaks measured in this run with as many threads.
    private String table() {
        StringBuilder text = new StringBuilder("""
                | bench | parameters | threads | median | of JVMs, min – max | tokens/s | GFLOP/s | GB/s | share of peak | peak resident |
                | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |
                """);
        for (Result r : results) {
            double t = r.seconds();
            double min = Arrays.stream(r.perJvm()).min().orElse(t);
            double max = Arrays.stream(r.perJvm()).max().orElse(t);
            text.append("| %s | %s | %d | %s | %s – %s | %s | %s | %s | %s | %s |%n".formatted(r.bench(), params(r.params()), r.threads(),
                    time(t), time(min), time(max), rate(r.tokens() / t), rate(r.flops() / t / 1e9), rate(r.bytes() / t / 1e9), share(r),
                    memory(r)));
        }
        return text.toString();
    }

    /// A Markdown table of ours and of other libraries' that do the same on as many threads; empty without any.
    private String againstPeers() {
        StringBuilder text = new StringBuilder();
        for (Result theirs : results) {
            for (Result ours : results) {
                if (!ours.standsBeside(theirs)) continue;
                if (text.isEmpty()) text.append("""
                        | bench | parameters | threads | Graft | peer | its rate | Graft : peer | peak resident, Graft : peer |
                        | --- | --- | --- | --- | --- | --- | --- | --- |
                        """);
                text.append(
                        "| %s | %s | %d | %s | %s | %s | %.2fx | %s : %s |%n".formatted(ours.bench(), params(ours.params()), ours.threads(),
                                rate(ours), peer(theirs), rate(theirs), theirs.seconds() / ours.seconds(), memory(ours), memory(theirs)));
            }
        }
        return text.toString();
    }

    /// A Markdown table of what is measured by a result of this run; empty without any.
    private String besideBaselines() {
        StringBuilder text = new StringBuilder();
        for (Result r : results) {
            for (Result base : results) {
                if (!r.isMeasuredBy(base)) continue;
                if (text.isEmpty()) text.append("""
                        | bench | parameters | threads | median | time | of rounds, min – max | by flops and bytes alone | peak resident |
                        | --- | --- | --- | --- | --- | --- | --- | --- |
                        """);
                double[] ratios = r.ratios(base);
                text.append("| %s | %s | %d | %s | %.2fx that of %s | %.2f – %.2f | %s | %s |%n".formatted(r.bench(), params(r.params()),
                        r.threads(), time(r.seconds()), Result.median(ratios), params(r.baseline()),
                        Arrays.stream(ratios).min().orElseThrow(),
                        Arrays.stream(ratios).max().orElseThrow(), predicted(r, base), memory(r, base)));
            }
        }
        return text.toString();
    }

    /// The ratio of times that peaks measured in this run leave: by whichever of flops and bytes takes longer.
    private String predicted(Result r, Result base) {
        double fma = peak("FMA", r.threads(), Result::flops), read = peak("READ", r.threads(), Result::bytes);
        if (fma == 0 || read == 0 || r.flops() == 0 || base.flops() == 0) return "";
        return "%.3fx".formatted(Math.max(r.flops() / fma, r.bytes() / read) / Math.max(base.flops() / fma, base.bytes() / read));
    }

    private static String memory(Result r, Result base) {
        if (r.peakResident() == null || base.peakResident() == null) return memory(r);
        return "%s, %+.0f".formatted(memory(r), (r.peakResident() - base.peakResident()) / 1e6);
    }

    /// All tables.
    String tables() {
        return Stream.of(table(), againstPeers(), besideBaselines()).filter(t -> !t.isEmpty()).collect(Collectors.joining("\n"));
    }

    /// A library, and at which of its parameters that are no part of the task or of its name.
    private static String peer(Result r) {
        Map<String, String> params = new TreeMap<>(r.params());
        params.entrySet().removeAll(r.peer().params().entrySet());
        params.values().removeIf(v -> r.peer().library().toLowerCase(Locale.ROOT).contains(v.toLowerCase(Locale.ROOT)));
        return (r.peer().library() + " " + params(params)).strip();
    }

    private static String rate(Result r) {
        return r.tokens() > 0 ? rate(r.tokens() / r.seconds()) + " tokens/s"
                : r.flops() > 0 ? rate(r.flops() / r.seconds() / 1e9) + " GFLOP/s" : time(r.seconds());
    }

    private static String memory(Result r) {
        if (r.peakResident() == null) return "";
        boolean maps = r.mappedResident() != null && r.mappedResident() > JVM_FILES;
        return "%.0f MB".formatted(r.peakResident() / 1e6)
                + (maps ? ", %.0f of them mapped files".formatted(r.mappedResident() / 1e6) : "");
    }

    private String share(Result r) {
        double fma = peak("FMA", r.threads(), Result::flops);
        double read = peak("READ", r.threads(), Result::bytes);
        String flops = r.flops() > 0 && fma > 0 ? "%.0f %% of FMA".formatted(100 * r.flops() / r.seconds() / fma) : "";
        String bytes = r.bytes() > 0 && read > 0 ? "%.0f %% of read".formatted(100 * r.bytes() / r.seconds() / read) : "";
        return flops.isEmpty() || bytes.isEmpty() ? flops + bytes : flops + ", " + bytes;
    }

    private double peak(String kind, int threads, ToDoubleFunction<Result> what) {
        return results.stream()
                .filter(p -> p.bench().contains("PeakBench") && p.threads() == threads && kind.equals(p.params().get("kind")))
                .mapToDouble(p -> what.applyAsDouble(p) / p.seconds()).max().orElse(0);
    }

    private static String params(Map<String, String> params) {
        return params.entrySet().stream().map(e -> e.getKey() + "=" + e.getValue()).collect(Collectors.joining(" "));
    }

    private static String rate(double perSecond) {
        return perSecond > 0 ? "%.1f".formatted(perSecond) : "";
    }

    private static String time(double seconds) {
        return seconds >= 1 ? "%.2f s".formatted(seconds)
                : seconds >= 1e-3 ? "%.2f ms".formatted(seconds * 1e3)
                        : seconds >= 1e-6 ? "%.1f µs".formatted(seconds * 1e6) : "%.1f ns".formatted(seconds * 1e9);
    }
}
