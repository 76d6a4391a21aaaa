package dev.graft.models.text;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.MissingNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import java.util.TreeSet;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/// The files beside `tokenizer.json` that say which token plays which role. Each may be absent.
record TokenizerConfigs(JsonNode tokenizerConfig, JsonNode specialTokensMap, JsonNode config, JsonNode generationConfig) {
    private static final Logger LOG = LoggerFactory.getLogger(Tokenizer.class);

    // What the token of a role is called when no file says so; only tokens marked special count.
    private static final List<String> BEGINNINGS = List.of("<s>", "<|begin_of_text|>", "<|endoftext|>", "[CLS]");
    private static final List<String> ENDS = List.of("</s>", "<|end_of_text|>", "<|endoftext|>", "[SEP]");
    private static final List<String> FILLERS = List.of("<pad>", "[PAD]", "<|pad|>");
    private static final List<String> UNKNOWNS = List.of("<unk>", "[UNK]");

    static TokenizerConfigs beside(Path tokenizerJson) {
        return new TokenizerConfigs(read(tokenizerJson.resolveSibling("tokenizer_config.json")),
                read(tokenizerJson.resolveSibling("special_tokens_map.json")),
                read(tokenizerJson.resolveSibling("config.json")), read(tokenizerJson.resolveSibling("generation_config.json")));
    }

    private static JsonNode read(Path path) {
        if (!Files.isRegularFile(path)) {
            return MissingNode.getInstance();
        }
        try {
            return new ObjectMapper().readTree(path.toFile());
        } catch (JsonProcessingException e) {
            throw new TokenizerException("%s is not valid JSON: %s".formatted(path, e.getOriginalMessage()), e);
        } catch (IOException e) {
            throw new TokenizerException("%s cannot be read: %s".formatted(path, e), e);
        }
    }

    /// `add_bos_token` or `add_eos_token`, where the file has it.
    Optional<Boolean> flag(String name) {
        JsonNode value = tokenizerConfig.path(name);
        return value.isBoolean() ? Optional.of(value.asBoolean()) : Optional.empty();
    }

    SpecialIds specialIds(TokenizerFile file) {
        List<String> warnings = new ArrayList<>();
        OptionalInt bos = one("bos", named(file, "bos_token", BEGINNINGS), warnings);
        List<Integer> eos = ends(named(file, "eos_token", ENDS), warnings);
        OptionalInt pad = one("pad", named(file, "pad_token", FILLERS), warnings);
        OptionalInt unk = one("unk", named(file, "unk_token", UNKNOWNS), warnings);
        warnings.forEach(warning -> LOG.warn("{}: {}", file.path().toAbsolutePath().getParent(), warning));
        return new SpecialIds(bos, eos, pad, unk, warnings);
    }

    /// The id of a role by the tokenizer's own files.
    private OptionalInt named(TokenizerFile file, String role, List<String> usual) {
        for (JsonNode source : List.of(tokenizerConfig, specialTokensMap)) {
            JsonNode value = source.path(role);
            String token = value.isObject() ? value.path("content").asText("") : value.isTextual() ? value.asText() : "";
            if (file.ids().containsKey(token)) {
                return OptionalInt.of(file.ids().get(token));
            }
        }
        return usual.stream().filter(file.ids()::containsKey).mapToInt(file.ids()::get).filter(file.specials()::get).findFirst();
    }

    private OptionalInt one(String role, OptionalInt own, List<String> warnings) {
        Set<Integer> configured = configured(config, role);
        if (own.isEmpty()) {
            return configured.stream().mapToInt(Integer::intValue).findFirst();
        }
        if (!configured.isEmpty() && !configured.contains(own.getAsInt())) {
            warnings.add("config.json says %s_token_id %s, the tokenizer says %d; the tokenizer's is used".formatted(role, configured,
                    own.getAsInt()));
        }
        return own;
    }

    /// Instruction-tuned models end a turn with one of several tokens, of which the tokenizer names one and the configuration all.
    private List<Integer> ends(OptionalInt own, List<String> warnings) {
        Set<Integer> configured = new LinkedHashSet<>(configured(generationConfig, "eos"));
        configured.addAll(configured(config, "eos"));
        if (own.isEmpty()) {
            return List.copyOf(configured);
        }
        if (configured.isEmpty() || configured.contains(own.getAsInt())) {
            Set<Integer> all = new LinkedHashSet<>(List.of(own.getAsInt()));
            all.addAll(new TreeSet<>(configured));
            return List.copyOf(all);
        }
        warnings.add(
                "config.json says eos_token_id %s, the tokenizer says %d; the tokenizer's is used".formatted(configured, own.getAsInt()));
        return List.of(own.getAsInt());
    }

    private static Set<Integer> configured(JsonNode config, String role) {
        Set<Integer> ids = new LinkedHashSet<>();
        JsonNode value = config.path(role + "_token_id");
        for (JsonNode id : value.isArray() ? value : List.of(value)) {
            if (id.isInt() && id.asInt() >= 0) {
                ids.add(id.asInt());
            }
        }
        return ids;
    }
}
