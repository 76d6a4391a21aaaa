package dev.graft.models;

import java.util.List;
import java.util.Map;
import java.util.OptionalInt;

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
}
