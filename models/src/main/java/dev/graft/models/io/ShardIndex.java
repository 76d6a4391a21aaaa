package dev.graft.models.io;

import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.Map;
import java.util.SequencedMap;
import java.util.Set;
import java.util.TreeMap;

/// Which shard of a checkpoint in several files holds which tensor, as `model.safetensors.index.json` and `pytorch_model.bin.index.json` say it.
///
/// ```json
/// {"metadata": {"total_size": 62784}, "weight_map": {"lm_head.weight": "model-00001-of-00002.safetensors", …}}
/// ```
record ShardIndex(SequencedMap<String, Path> fileOf) {
    private static final String WEIGHT_MAP = "weight_map";

    static ShardIndex read(Path file) {
        JsonObject map = Json.read(file).requireObject(WEIGHT_MAP);
        SequencedMap<String, Path> fileOf = new LinkedHashMap<>();
        for (String name : map.keys()) {
            String shard = map.requireString(name);
            // Only a plain name in the same folder: an index is no way to make someone's program open other files.
            if (!shard.matches("[^/\\\\:\\p{Cntrl}]+") || shard.equals(".") || shard.equals("..")) {
                throw map.problem(name, "must be the plain name of a file in the same folder, got " + CheckpointException.quote(shard));
            }
            if (shard.endsWith(".json")) throw map.problem(name, "must be a file of tensors, got " + CheckpointException.quote(shard));
            fileOf.put(name, file.resolveSibling(shard));
        }
        return new ShardIndex(fileOf);
    }

    static void write(Path file, Map<String, String> shardOf, long totalBytes) {
        Map<String, Object> index = new LinkedHashMap<>();
        index.put("metadata", Map.of("total_size", totalBytes));
        index.put(WEIGHT_MAP, new TreeMap<>(shardOf));
        Json.write(file, index);
    }

    Set<Path> shards() {
        return new LinkedHashSet<>(fileOf.values());
    }
}
