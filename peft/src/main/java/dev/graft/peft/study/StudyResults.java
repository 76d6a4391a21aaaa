package dev.graft.peft.study;

import dev.graft.models.io.AtomicFile;
import dev.graft.models.io.Json;
import dev.graft.models.io.JsonObject;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.SequencedMap;
import java.util.Set;

/// What became of each cell, a line of JSON each, in a file that is whole at any moment.
///
/// ```
/// {"cell": "llama/lora/mlp/lr=0.005/seed=1", "model": "llama", …, "accuracy": {"sums": 0.53}, "trainable_parameters": 5120, …, "settings": {…}, "sha256": {…}}
/// {"cell": "llama/lora/mlp/lr=9.0/seed=1", "model": "llama", …, "error": "in step 3 the loss is NaN. …"}
/// ```
public final class StudyResults {
    /// What a finished cell depends on.
    private static final List<String> MADE_FROM = List.of("settings", "sha256");

    private final Path file;
    private final SequencedMap<String, Map<String, Object>> lines = new LinkedHashMap<>();

    private StudyResults(Path file) {
        this.file = file;
    }

    /// Those in the file, none when there is no file yet.
    public static StudyResults open(Path file) {
        StudyResults results = new StudyResults(file);
        if (!Files.exists(file)) return results;
        try {
            for (String line : Files.readAllLines(file)) {
                JsonObject json = Json.parse(line, file.toString());
                results.lines.put(json.requireString("cell"), json.toMap());
            }
            return results;
        } catch (IOException e) {
            throw new UncheckedIOException(file + " cannot be read: " + e.getMessage(), e);
        }
    }

    /// Replaces the cell's line, if there is one.
    public void put(Cell cell, Map<String, Object> more) {
        Map<String, Object> line = cell.toJson();
        line.putAll(more);
        lines.put(cell.id(), Json.parse(Json.line(line), cell.id()).toMap());
        StringBuilder text = new StringBuilder();
        lines.values().forEach(l -> text.append(Json.line(l)).append('\n'));
        AtomicFile.write(file, channel -> {
            ByteBuffer bytes = ByteBuffer.wrap(text.toString().getBytes(StandardCharsets.UTF_8));
            while (bytes.hasRemaining()) channel.write(bytes);
        });
    }

    public Optional<Map<String, Object>> of(Cell cell) {
        return Optional.ofNullable(lines.get(cell.id()));
    }

    /// Whether the cell need not be run again. One that failed is tried again.
    public boolean isDone(Cell cell) {
        return lines.containsKey(cell.id()) && !lines.get(cell.id()).containsKey("error");
    }

    /// Throws when a finished cell was made from something else than what it would be made from now.
    public void requireSame(Cell cell, Map<String, Object> now) {
        if (!isDone(cell)) return;
        Map<String, Object> before = lines.get(cell.id());
        Map<String, Object> same = Json.parse(Json.line(now), cell.id()).toMap();
        List<String> changed = new ArrayList<>();
        for (String part : MADE_FROM) compare(part, before.get(part), same.get(part), changed);
        if (!changed.isEmpty()) {
            throw new IllegalArgumentException("%s holds the cell %s as it was made from something else: %s; take these, or another folder"
                    .formatted(file, cell.id(), String.join(", ", changed)));
        }
    }

    private static void compare(String at, Object before, Object now, List<String> changed) {
        if (before instanceof Map<?, ?> a && now instanceof Map<?, ?> b) {
            Set<Object> keys = new LinkedHashSet<>(a.keySet());
            keys.addAll(b.keySet());
            for (Object key : keys) compare(at + "." + key, a.get(key), b.get(key), changed);
        } else if (!Objects.equals(before, now)) {
            changed.add("%s was %s and is %s".formatted(at, before, now));
        }
    }
}
