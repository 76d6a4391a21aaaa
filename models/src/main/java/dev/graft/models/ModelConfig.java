package dev.graft.models;

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
}
