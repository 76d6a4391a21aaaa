package dev.graft.models.text;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;

/// SentencePiece puts a space in front of a text (its "dummy prefix"). Early conversions of LLaMA's tokenizer put one behind every special
/// token as well: `<s>special` became `<s>▁special`. Today's `LlamaTokenizer` does so only when `tokenizer_config.json` says
/// `"legacy": true`, whatever `tokenizer.json` says; so do we.
final class DummyPrefix {
    private DummyPrefix() {}

    /// Changes `tokenizer`, the content of tokenizer.json, to the prefix rule of its class. Returns whether anything had to change.
    static boolean onlyAtTheStart(ObjectNode tokenizer, JsonNode tokenizerConfig) {
        boolean llama = tokenizerConfig.path("tokenizer_class").asText().matches("LlamaTokenizer(Fast)?");
        if (!llama || tokenizerConfig.path("legacy").asBoolean(false)) {
            return false;
        }
        JsonNode preTokenizer = tokenizer.path("pre_tokenizer");
        if (preTokenizer.path("prepend_scheme").asText().equals("always")) {
            ((ObjectNode) preTokenizer).put("prepend_scheme", "first");
            return true;
        }
        if (prependsByNormalizer(tokenizer.path("normalizer")) && preTokenizer.isNull()) {
            tokenizer.putNull("normalizer");
            tokenizer.putObject("pre_tokenizer").put("type", "Metaspace").put("replacement", "▁").put("prepend_scheme", "first")
                    .put("split", false);
            return true;
        }
        return false;
    }

    /// `Sequence[Prepend "▁", Replace " " → "▁"]`, the older spelling.
    private static boolean prependsByNormalizer(JsonNode normalizer) {
        JsonNode parts = normalizer.path("normalizers");
        return parts.size() == 2 && parts.get(0).path("prepend").asText().equals("▁") && parts.get(1).path("content").asText().equals("▁");
    }
}
