package dev.graft.models;

import dev.graft.tensor.Tensor;

/// Keys and values of one attention layer, both `[B, S, K, D]`.
public record KeysValues(Tensor keys, Tensor values) {
    /// These, followed along S by others.
    public KeysValues then(KeysValues later) {
        return new KeysValues(Tensor.cat(1, keys, later.keys), Tensor.cat(1, values, later.values));
    }
}
