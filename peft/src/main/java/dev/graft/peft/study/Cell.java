package dev.graft.peft.study;

import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/// One point of a study's grid: an adapter trained once and evaluated, or the bare model.
///
/// @param model its name in the study
/// @param method its name in the study, which may stand for a method with settings of its own
/// @param place where the adapter goes, in words; empty where the method or its settings say it
/// @param size fields that make its size, such as r; may be empty
/// @param learningRate NaN for the bare model
/// @param seed of everything random; 0 for the bare model
/// @param of the method's name in [dev.graft.peft.Adapters], [#BARE] for the bare model
/// @param fields of the adapter, those of place and size among them
public record Cell(String model, String method, String place, Map<String, Object> size, double learningRate, long seed, String of,
        Map<String, Object> fields) {
    /// The method that is none: the model as it is, which nothing trains.
    public static final String BARE = "none";

    public boolean isBare() {
        return of.equals(BARE);
    }

    /// `r=8`, or `r=8, lora_alpha=16`.
    public String sizeText() {
        return size.entrySet().stream().map(e -> e.getKey() + "=" + e.getValue()).collect(Collectors.joining(", "));
    }

    /// `llama/lora/attention/r=8/lr=0.005/seed=1`; what the grid does not vary here is left out.
    public String id() {
        Stream<String> parts = isBare() ? Stream.of(model, method)
                : Stream.of(model, method, place, sizeText().replace(" ", ""), "lr=" + learningRate, "seed=" + seed);
        return parts.filter(p -> !p.isEmpty()).collect(Collectors.joining("/"));
    }

    /// Its folder among those of the study.
    public Path folder(Path study) {
        Path folder = study.resolve("cells");
        for (String part : id().split("/")) folder = folder.resolve(part.replaceAll("^\\.+|[^\\w.,=+-]", "_"));
        return folder;
    }

    /// What a line of results begins with.
    public Map<String, Object> toJson() {
        Map<String, Object> json = new LinkedHashMap<>();
        json.put("cell", id());
        json.put("model", model);
        json.put("method", method);
        json.put("place", place);
        json.put("size", size);
        json.put("learning_rate", isBare() ? null : learningRate);
        json.put("seed", isBare() ? null : seed);
        return json;
    }
}
