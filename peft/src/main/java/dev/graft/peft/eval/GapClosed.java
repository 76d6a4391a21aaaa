package dev.graft.peft.eval;

import dev.graft.models.io.Json;
import dev.graft.models.io.JsonObject;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.OptionalDouble;
import java.util.TreeMap;
import java.util.stream.Stream;

/// How much of what tuning a model would gain is had without tuning it (Liu et al. 2024, arXiv:2401.08565).
///
/// ```
/// gap closed = (proxy − base) / (tuned − base)          per set; then the mean over sets
/// ```
///
/// It does not matter whether a figure is better when larger or when smaller. Above 1, the steered model does more than the tuned one.
///
/// @param sets those that all three were asked
public record GapClosed(List<Set> sets) {
    public GapClosed {
        sets = List.copyOf(sets);
    }

    /// @param metric what the three figures are
    /// @param alpha  by which the steered one was, where its summary says so
    public record Set(String task, String metric, double base, double proxy, double tuned, OptionalDouble alpha) {
        /// @throws DataException where there is no gap
        public double closed() {
            if (tuned == base) {
                throw new DataException(
                        "%s: %s is %s of the base and of the tuned model alike, so there is no gap to close; leave the set out"
                                .formatted(task, metric, base));
            }
            return (proxy - base) / (tuned - base);
        }
    }

    public double mean() {
        return sets.stream().mapToDouble(Set::closed).average().orElseThrow();
    }

    /// Compares three folders of results, by what is in their `NAME.summary.json`.
    ///
    /// @throws DataException if they have no set in common, or asked one of them differently
    public static GapClosed read(Path base, Path proxy, Path tuned) {
        Map<String, JsonObject> bases = summaries(base);
        Map<String, JsonObject> proxies = summaries(proxy);
        Map<String, JsonObject> all = summaries(tuned);
        List<Set> sets = new ArrayList<>();
        bases.forEach((file, summary) -> {
            if (!proxies.containsKey(file) || !all.containsKey(file)) return;
            requireSame(file, summary, proxies.get(file), proxy);
            requireSame(file, summary, all.get(file), tuned);
            String metric = metric(summary);
            sets.add(new Set(summary.requireString("task"), metric, summary.requireDouble(metric), proxies.get(file).requireDouble(metric),
                    all.get(file).requireDouble(metric), alpha(proxies.get(file))));
        });
        if (sets.isEmpty()) {
            throw new DataException("no set is in all three folders: %s has %s, %s has %s, %s has %s".formatted(base, bases.keySet(), proxy,
                    proxies.keySet(), tuned, all.keySet()));
        }
        return new GapClosed(sets);
    }

    private static OptionalDouble alpha(JsonObject summary) {
        return summary.has("proxy") ? OptionalDouble.of(summary.requireObject("proxy").requireDouble("alpha")) : OptionalDouble.empty();
    }

    private static String metric(JsonObject summary) {
        if (!summary.has("metric") && !summary.has("accuracy")) {
            throw new DataException("%s has no figure; the set was asked and not judged".formatted(summary.source()));
        }
        return summary.optString("metric", "accuracy");
    }

    /// What was asked and how must be alike; who was asked is what is compared.
    private static void requireSame(String file, JsonObject one, JsonObject other, Path folder) {
        for (String field : List.of("metric", "data", "config", "judged_by")) {
            Object was = one.toMap().get(field);
            Object is = other.toMap().get(field);
            if (!Objects.equals(was, is)) {
                throw new DataException(
                        "%s: %s in %s is not what it is for the base, so the figures do not compare: %s, and %s".formatted(file, field,
                                folder, is, was));
            }
        }
        if (!other.has(metric(one))) throw new DataException("%s has no '%s'".formatted(other.source(), metric(one)));
    }

    private static Map<String, JsonObject> summaries(Path folder) {
        if (!Files.isDirectory(folder)) throw new DataException("there is no folder of results " + folder);
        Map<String, JsonObject> summaries = new TreeMap<>();
        try (Stream<Path> files = Files.list(folder)) {
            files.filter(f -> f.getFileName().toString().endsWith(".summary.json"))
                    .forEach(f -> summaries.put(f.getFileName().toString(), Json.read(f)));
        } catch (IOException e) {
            throw new UncheckedIOException("%s cannot be read: %s".formatted(folder, e.getMessage()), e);
        }
        return summaries;
    }
}
