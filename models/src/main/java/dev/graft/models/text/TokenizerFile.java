package dev.graft.models.text;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.BitSet;
import java.util.HashMap;
import java.util.Map;

/// What we ourselves read of `tokenizer.json`: which token has which id, and which are special. The Rust library reads the rest.
///
/// @param json     what the library is to read
/// @param ids      id of each token, added tokens included
/// @param tokens   token of each id; null where an id is unused
/// @param specials ids of special tokens
record TokenizerFile(Path path, String json, Map<String, Integer> ids, String[] tokens, BitSet specials) {
    // Far above any vocabulary in use; keeps a mutated id from asking for gigabytes.
    private static final int MAX_ID = 1 << 24;

    static TokenizerFile read(Path path, TokenizerConfigs configs) {
        String json;
        JsonNode root;
        try {
            json = Files.readString(path, StandardCharsets.UTF_8);
            root = new ObjectMapper().readTree(json);
        } catch (JsonProcessingException e) {
            throw new TokenizerException("%s is not valid JSON: %s".formatted(path, e.getOriginalMessage()), e);
        } catch (IOException e) {
            throw new TokenizerException("%s cannot be read: %s".formatted(path, e), e);
        }
        Map<String, Integer> ids = new HashMap<>();
        BitSet specials = new BitSet();
        JsonNode vocab = root.path("model").path("vocab");
        if (vocab.isObject()) {
            vocab.properties().forEach(entry -> put(path, ids, entry.getKey(), entry.getValue()));
        } else if (vocab.isArray()) { // Unigram: [[piece, score], …]
            for (int i = 0; i < vocab.size(); i++) {
                ids.put(vocab.get(i).path(0).asText(), i);
            }
        } else {
            throw new TokenizerException(
                    "%s has no 'model.vocab'; is it a tokenizer.json of the Hugging Face tokenizers library?".formatted(path));
        }
        for (JsonNode added : root.path("added_tokens")) {
            put(path, ids, added.path("content").asText(), added.path("id"));
            if (added.path("special").asBoolean()) {
                specials.set(added.path("id").asInt());
            }
        }
        String[] tokens = new String[ids.values().stream().mapToInt(Integer::intValue).max().orElse(-1) + 1];
        ids.forEach((token, id) -> tokens[id] = token);
        boolean changed = root instanceof ObjectNode file && DummyPrefix.onlyAtTheStart(file, configs.tokenizerConfig());
        return new TokenizerFile(path, changed ? root.toString() : json, ids, tokens, specials);
    }

    private static void put(Path path, Map<String, Integer> ids, String token, JsonNode id) {
        if (!id.canConvertToInt() || !id.isIntegralNumber() || id.asInt() < 0 || id.asInt() > MAX_ID) {
            throw new TokenizerException(
                    "%s: token '%s' has the id %s, which must be an integer from 0 to %d".formatted(path, token, id, MAX_ID));
        }
        ids.put(token, id.asInt());
    }
}
