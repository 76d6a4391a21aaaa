package dev.graft.models;

import dev.graft.tensor.Scope;
import dev.graft.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;

/// Keys and values of the tokens a model has seen, per layer, so that decoding reads each token once. Owns its memory.
public final class KvCache implements AutoCloseable {
    /// One layer's keys and values, `[B, S, K, D]`.
    public record Layer(Tensor keys, Tensor values) {
    }

    private final Scope memory = Scope.detached();
    private final List<Layer> layers = new ArrayList<>();
    private final int capacity;
    private int length;

    /// @param capacity most tokens a row can hold
    public KvCache(int capacity) {
        this.capacity = capacity;
    }

    /// Tokens held per row.
    public int length() {
        return length;
    }

    public int capacity() {
        return capacity;
    }

    @Override
    public void close() {
        memory.close();
    }
}
