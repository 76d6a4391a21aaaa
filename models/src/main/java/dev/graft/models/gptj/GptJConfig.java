package dev.graft.models.gptj;

import dev.graft.models.ModelConfig;
import dev.graft.models.io.JsonObject;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import java.util.Set;

/// A GPT-J's size and constants, in the words of config.json.
///
/// @param vocab `vocab_size`, rows of the embedding
/// @param hidden `n_embd`, also `hidden_size`
/// @param intermediate `n_inner`, the width of the MLP; null there means `4 · hidden`
/// @param layers `n_layer`, also `num_hidden_layers`
/// @param heads `n_head`, also `num_attention_heads`
/// @param rotaryDim `rotary_dim`, how many elements of each head turn; null there means all
/// @param normEps `layer_norm_epsilon`
/// @param maxPositions `n_positions`, also `max_position_embeddings`
/// @param initializerRange standard deviation of new weights
/// @param bos begin-of-text token
/// @param eos end-of-text tokens
/// @param pad padding token
public record GptJConfig(int vocab, int hidden, int intermediate, int layers, int heads, int rotaryDim, double normEps, int maxPositions,
        double initializerRange, OptionalInt bos, List<Integer> eos, OptionalInt pad) implements ModelConfig {
    public static final String MODEL_TYPE = "gptj";

    /// Keys that ask for arithmetic that is not here. Any value but null, false, 0 and empty is refused.
    private static final Set<String> OTHER_ARITHMETIC = Set.of("quantization_config", "resid_pdrop", "embd_pdrop", "attn_pdrop",
            "tie_word_embeddings");

    private static final Set<String> GELU_TANH = Set.of("gelu_new", "gelu_pytorch_tanh", "gelu_fast");

    public GptJConfig {
        eos = List.copyOf(eos);
    }

    /// From config.json. What is absent has the default of Hugging Face's `GPTJConfig`; what this model does not compute is refused, naming the key.
    public static GptJConfig of(JsonObject json) {
        ModelConfig.refuse(json, OTHER_ARITHMETIC, "GPT-J");
        String act = json.optString("activation_function", "gelu_new");
        if (!GELU_TANH.contains(act))
            throw json.problem("activation_function", "is '" + act + "'; GPT-J is computed with gelu_new only");
        if (!json.optBoolean("scale_attn_weights", true))
            throw json.problem("scale_attn_weights", "must be true: scores are always scaled");
        int hidden = json.optSize(json.has("hidden_size") ? "hidden_size" : "n_embd", 4096);
        int heads = json.optSize(json.has("num_attention_heads") ? "num_attention_heads" : "n_head", 16);
        if (hidden % heads != 0)
            throw json.problem("n_embd", "must be a multiple of the number of heads, got " + hidden + " and " + heads);
        int rotaryDim = rotaryDim(json, hidden / heads);
        double eps = json.optDouble("layer_norm_epsilon", 1e-5);
        if (eps < 0) throw json.problem("layer_norm_epsilon", "must not be negative, got " + eps);
        return new GptJConfig(json.optSize("vocab_size", 50400), hidden, json.optSize("n_inner", 4 * hidden),
                json.optSize(json.has("num_hidden_layers") ? "num_hidden_layers" : "n_layer", 28), heads, rotaryDim, eps,
                json.optSize(json.has("max_position_embeddings") ? "max_position_embeddings" : "n_positions", 2048),
                json.optDouble("initializer_range", 0.02), ModelConfig.token(json, "bos_token_id", 50256),
                ModelConfig.tokens(json, "eos_token_id", 50256), json.optInt("pad_token_id"));
    }

    private static int rotaryDim(JsonObject json, int headDim) {
        int otherwise = json.keys().contains("rotary_dim") ? headDim : 64;                 // null there, or no word of it
        int turning = json.optSize("rotary_dim", otherwise);
        if (turning % 2 != 0 || turning > headDim) {
            throw json.problem("rotary_dim", "must be even and at most the size of a head, %d, got %d".formatted(headDim, turning));
        }
        return turning;
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
    public boolean tied() {
        return false;
    }

    @Override
    public Map<String, Object> toJson() {
        Map<String, Object> json = new LinkedHashMap<>();
        json.put("architectures", List.of("GPTJForCausalLM"));
        json.put("model_type", MODEL_TYPE);
        json.put("vocab_size", vocab);
        json.put("n_embd", hidden);
        json.put("n_inner", intermediate == 4 * hidden ? null : intermediate);
        json.put("n_layer", layers);
        json.put("n_head", heads);
        json.put("rotary_dim", rotaryDim);
        json.put("n_positions", maxPositions);
        json.put("activation_function", "gelu_new");
        json.put("layer_norm_epsilon", normEps);
        json.put("resid_pdrop", 0.0);
        json.put("embd_pdrop", 0.0);
        json.put("attn_pdrop", 0.0);
        json.put("scale_attn_weights", true);
        json.put("tie_word_embeddings", false);
        json.put("initializer_range", initializerRange);
        json.putAll(tokensToJson());
        json.put("use_cache", true);
        return json;
    }
}
