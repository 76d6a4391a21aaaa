package dev.graft.peft.method;

import dev.graft.peft.AdapterException;
import dev.graft.peft.JsonValue;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/// Which triplets of [AdaLora] are left, by `<place>.lora_E`. In JSON lists of booleans.
public record RankPattern(Map<String, List<Boolean>> kept) implements JsonValue {
    public RankPattern {
        Map<String, List<Boolean>> copy = new LinkedHashMap<>();
        kept.forEach((key, flags) -> copy.put(key, List.copyOf(flags)));
        kept = Collections.unmodifiableMap(copy);
    }

    public static RankPattern of(Object json) {
        if (!(json instanceof Map<?, ?> map)) throw wrong(json);
        Map<String, List<Boolean>> kept = new LinkedHashMap<>();
        map.forEach((key, value) -> {
            if (!(value instanceof List<?> list)) throw wrong(value);
            List<Boolean> flags = new ArrayList<>();
            for (Object flag : list) flags.add(flag instanceof Boolean b ? b : refuse(flag));
            kept.put((String) key, flags);
        });
        return new RankPattern(kept);
    }

    private static boolean refuse(Object json) {
        throw wrong(json);
    }

    private static AdapterException wrong(Object json) {
        return new AdapterException("must give a list of true and false for each <layer>.lora_E, got " + json);
    }

    /// Triplets left at a place; all of them where it says nothing.
    int rank(String path, int all) {
        List<Boolean> flags = kept.get(path + ".lora_E");
        if (flags == null) return all;
        if (flags.size() != all)
            throw new AdapterException("rank_pattern has %d entries for '%s'; init_r is %d".formatted(flags.size(), path, all));
        return Collections.frequency(flags, true);
    }

    @Override
    public Object json() {
        return kept;
    }
}
