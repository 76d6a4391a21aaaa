package dev.graft.models;

import dev.graft.models.io.JsonObject;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import java.util.Set;

/// What all architectures know about their size. Each architecture's own config is a record that implements this.
public interface ModelConfig {
    /// `llama`, `bloom`, `gptj`, as in config.json.
    String modelType();

    int layers();

    int hidden();

    int heads();

    /// Key/value heads; equal to [#heads()] without grouping.
    int keyValueHeads();

    /// Size of one head.
    int headDim();

    /// Rows of the embedding.
    int vocab();

    /// Longest sequence the model was made for, in tokens.
    int maxPositions();

    /// Whether the output layer is the embedding matrix.
    boolean tied();

    /// Standard deviation of freshly initialised weights.
    double initializerRange();

    /// The token a text begins with. Tokenizer files have the last word on this and on the next two.
    OptionalInt bos();

    /// The tokens that end a text.
    List<Integer> eos();

    /// The token that fills up a batch.
    OptionalInt pad();

    /// config.json, in Hugging Face's words.
    Map<String, Object> toJson();

    /// The three kinds of tokens, as config.json has them.
    default Map<String, Object> tokensToJson() {
        Map<String, Object> json = new LinkedHashMap<>();
        json.put("bos_token_id", bos().isPresent() ? bos().getAsInt() : null);
        json.put("eos_token_id", switch (eos().size()) {
            case 0 -> null;
            case 1 -> eos().getFirst();
            default -> eos();
        });
        json.put("pad_token_id", pad().isPresent() ? pad().getAsInt() : null);
        return json;
    }

    /// A token that config.json names: `otherwise` where it says nothing, none where it says null.
    static OptionalInt token(JsonObject json, String key, int otherwise) {
        return json.keys().contains(key) ? json.optInt(key) : OptionalInt.of(otherwise);
    }

    /// One token or a list of them.
    static List<Integer> tokens(JsonObject json, String key, int otherwise) {
        if (json.isList(key)) return json.requireInts(key);
        OptionalInt one = token(json, key, otherwise);
        return one.isPresent() ? List.of(one.getAsInt()) : List.of();
    }

    /// Throws when one of these keys says anything but null, false, 0 or empty; of quantisations, NF4 is read.
    static void refuse(JsonObject json, Set<String> keys, String architecture) {
        for (String key : keys) {
            boolean zero = json.isNumber(key) && json.requireDouble(key) == 0;
            if (zero || json.isNeutral(key)) continue;
            if (!key.equals("quantization_config"))
                throw json.problem(key, "is set; this arithmetic is not part of %s as computed here".formatted(architecture));
            if (!BitsandbytesWeight.isDescribedBy(json))
                throw json.problem(key, "is none that Graft reads; it reads bitsandbytes' with load_in_4bit and bnb_4bit_quant_type nf4");
        }
    }
}
