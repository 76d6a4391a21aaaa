package dev.graft.tensor;

import dev.graft.tensor.backend.Backend;
import dev.graft.tensor.backend.BackendProvider;
import java.util.Comparator;
import java.util.List;
import java.util.ServiceLoader;
import java.util.stream.Collectors;

/// The backends on this machine, found by [ServiceLoader].
///
/// The system property `graft.backend` names the one to prefer.
public final class Backends {
    private static final List<Backend> ALL = ServiceLoader.load(BackendProvider.class, Backends.class.getClassLoader()).stream()
            .flatMap(p -> p.get().backends().stream()).sorted(Comparator.comparingInt(Backend::preference).reversed()).toList();

    private static volatile Backend best;

    private Backends() {
    }

    /// All that were found, usable or not, the best first.
    public static List<Backend> all() {
        return ALL;
    }

    /// The one that `graft.backend` names, else the best available; the same as long as the program runs.
    public static Backend best() {
        Backend chosen = best;
        if (chosen == null) best = chosen = choose();
        return chosen;
    }

    private static Backend choose() {
        String wish = System.getProperty("graft.backend");
        if (wish != null) return named(wish);
        return ALL.stream().filter(Backend::isAvailable).findFirst()
                .orElseThrow(() -> new TensorException("no backend found; is the graft-tensor jar complete?"));
    }

    public static Backend named(String name) {
        Backend backend = ALL.stream().filter(b -> b.name().equals(name)).findFirst()
                .orElseThrow(() -> new TensorException("no backend '" + name + "'; found " + names()));
        if (!backend.isAvailable()) throw new TensorException("backend '" + name + "' cannot run here: " + backend.description());
        return backend;
    }

    private static String names() {
        return ALL.stream().map(Backend::name).collect(Collectors.joining(", ", "[", "]"));
    }
}
