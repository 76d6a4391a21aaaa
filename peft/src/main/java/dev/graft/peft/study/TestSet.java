package dev.graft.peft.study;

import dev.graft.models.io.JsonObject;
import dev.graft.peft.eval.Task;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.stream.Stream;

/// A column of a study's tables: what each adapter is evaluated on.
///
/// @param name over the column
/// @param task a published set's name, or null
/// @param dataRoot the folder of published sets, or null
/// @param source records of one's own, or null
/// @param kind how answers are read in these
/// @param alternatives of a choice
/// @param maxNewTokens longest response; 0 for what the kind of task has
/// @param limit only so many records; 0 for all
public record TestSet(String name, String task, Path dataRoot, Source source, Task.Kind kind, List<String> alternatives, int maxNewTokens,
        int limit) {

    static TestSet of(String name, JsonObject json, Path folder) {
        int maxNewTokens = json.has("max_new_tokens") ? json.optSize("max_new_tokens", 1) : 0;
        int limit = json.has("limit") ? json.optSize("limit", 1) : 0;
        TestSet set = json.has("task") ? published(name, json, folder, maxNewTokens, limit) : own(name, json, folder, maxNewTokens, limit);
        StudyConfig.refuseUnknown(json, "a test set");
        return set;
    }

    private static TestSet published(String name, JsonObject json, Path folder, int maxNewTokens, int limit) {
        try {
            Task task = Task.named(json.requireString("task"));
            Path root = folder.resolve(json.requireString("data_root"));
            task.file(root);
            return new TestSet(name, task.name(), root, null, null, List.of(), maxNewTokens, limit);
        } catch (IllegalArgumentException e) {
            throw json.problem("task", "cannot be used: " + e.getMessage());
        }
    }

    private static TestSet own(String name, JsonObject json, Path folder, int maxNewTokens, int limit) {
        Source source = Source.of(json, folder);
        String kind = source instanceof Source.Generated ? json.optString("kind", "numeric") : json.requireString("kind");
        List<String> kinds = Stream.of(Task.Kind.values()).map(k -> k.name().toLowerCase(Locale.ROOT)).toList();
        if (!kinds.contains(kind)) throw json.problem("kind", "must be one of %s, got '%s'".formatted(kinds, kind));
        List<String> alternatives = json.optStrings("alternatives").orElse(List.of());
        if (kind.equals("choice") == alternatives.isEmpty())
            throw json.problem("alternatives", "go with the kind choice, which needs them");
        return new TestSet(name, null, null, source, Task.Kind.valueOf(kind.toUpperCase(Locale.ROOT)), alternatives, maxNewTokens, limit);
    }
}
