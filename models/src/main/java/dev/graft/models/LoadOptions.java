package dev.graft.models;

import dev.graft.tensor.Backends;
import dev.graft.tensor.backend.Backend;

/// How a checkpoint becomes a model in memory.
///
/// @param backend where it lives
/// @param weights in which form; the arithmetic is F32 in each
public record LoadOptions(Backend backend, Weights weights) {
    /// As stored, on the best backend.
    public static final LoadOptions DEFAULT = new LoadOptions(null, Weights.STORED);

    public enum Weights {
        /// In the file's type, read where the file is mapped: nothing is copied, and pages that are not used take no memory. That may be NF4 as
        /// bitsandbytes writes it; other forms convert it.
        STORED,
        /// All as F32. What the file holds as F32 is read where it is mapped.
        F32,
        /// All as BF16 but vectors (norms, biases), which stay as they are.
        BF16,
        /// Linear layers as int8 in blocks of 32, 9/8 bytes a weight; the embedding, a head tied to it, norms and biases stay as they are. Frozen.
        Q8,
        /// Linear layers but the head as NF4 with quantised scales, 4.127 bits a weight; the rest stays as it is. Frozen.
        NF4
    }

    public LoadOptions {
        if (backend == null) backend = Backends.best();
    }

    public LoadOptions withWeights(Weights other) {
        return new LoadOptions(backend, other);
    }

    public LoadOptions withBackend(Backend other) {
        return new LoadOptions(other, weights);
    }
}
