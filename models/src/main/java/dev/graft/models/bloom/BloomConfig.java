package dev.graft.models.bloom;

import dev.graft.models.ModelConfig;
import dev.graft.models.io.JsonObject;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import java.util.Set;

/// A BLOOM's size and constants, in the words of config.json. The MLP is always `4 · hidden` wide, whatever `n_inner` says.
///
/// @param vocab `vocab_size`, rows of the embedding; published ones have some more than the tokenizer has tokens
/// @param hidden `hidden_size`, also `n_embed` or `n_embd`
/// @param layers `n_layer`, also `num_hidden_layers`
/// @param heads `n_head`, also `num_attention_heads`
/// @param normEps `layer_norm_epsilon`
/// @param residualAfterNorm `apply_residual_connection_post_layernorm`: the residual sums start from the norms' outputs
/// @param maxPositions `seq_length`, what the model was trained on; nothing in the weights ends there
/// @param tied `tie_word_embeddings`: the output layer is the embedding matrix
/// @param initializerRange standard deviation of new weights
/// @param bos begin-of-text token
/// @param eos end-of-text tokens
/// @param pad padding token
public record BloomConfig(int vocab, int hidden, int layers, int heads, double normEps, boolean residualAfterNorm, int maxPositions,
        boolean tied, double initializerRange, OptionalInt bos, List<Integer> eos, OptionalInt pad) implements ModelConfig {
    public static final String MODEL_TYPE = "bloom";

    /// Keys that ask for arithmetic that is not here. Any value but null, false, 0 and empty is refused.
    private static final Set<String> OTHER_ARITHMETIC = Set.of("quantization_config", "hidden_dropout", "attention_dropout");

    public BloomConfig {
        eos = List.copyOf(eos);
    }

    /// From config.json. What is absent has the default of Hugging Face's `BloomConfig`; what this model does not compute is refused, naming the key.
    public static BloomConfig of(JsonObject json) {
        ModelConfig.refuse(json, OTHER_ARITHMETIC, "BLOOM");
        int hidden = json.optSize(json.has("n_embed") ? "n_embed" : json.has("n_embd") ? "n_embd" : "hidden_size", 64);
        int heads = json.optSize(json.has("num_attention_heads") ? "num_attention_heads" : "n_head", 8);
        if (hidden % heads != 0)
            throw json.problem("hidden_size", "must be a multiple of the number of heads, got " + hidden + " and " + heads);
        double eps = json.optDouble("layer_norm_epsilon", 1e-5);
        if (eps < 0) throw json.problem("layer_norm_epsilon", "must not be negative, got " + eps);
        return new BloomConfig(json.optSize("vocab_size", 250880), hidden,
                json.optSize(json.has("num_hidden_layers") ? "num_hidden_layers" : "n_layer", 2), heads, eps,
                json.optBoolean("apply_residual_connection_post_layernorm", false), json.optSize("seq_length", 2048),
                json.optBoolean("tie_word_embeddings", true), json.optDouble("initializer_range", 0.02),
                ModelConfig.token(json, "bos_token_id", 1), ModelConfig.tokens(json, "eos_token_id", 2),
                ModelConfig.token(json, "pad_token_id", 3));
    }

    @Override
    public String modelType() {
        return MODEL_TYPE;
    }

    @Override
    public int keyValueHeads() {
        return heads;
    }

    @Override
    public int headDim() {
        return hidden / heads;
    }

    @Override
    public Map<String, Object> toJson() {
        Map<String, Object> json = new LinkedHashMap<>();
        json.put("architectures", List.of("BloomForCausalLM"));
        json.put("model_type", MODEL_TYPE);
        json.put("vocab_size", vocab);
        json.put("hidden_size", hidden);
        json.put("n_layer", layers);
        json.put("n_head", heads);
        json.put("layer_norm_epsilon", normEps);
        json.put("apply_residual_connection_post_layernorm", residualAfterNorm);
        json.put("seq_length", maxPositions);
        json.put("hidden_dropout", 0.0);
        json.put("attention_dropout", 0.0);
        json.put("tie_word_embeddings", tied);
        json.put("initializer_range", initializerRange);
        json.putAll(tokensToJson());
        json.put("use_cache", true);
        return json;
    }
}
