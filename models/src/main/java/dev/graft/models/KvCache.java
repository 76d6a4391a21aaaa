package dev.graft.models;

import dev.graft.tensor.Scope;
import dev.graft.tensor.ShapeException;
import dev.graft.tensor.Spec;
import dev.graft.tensor.Tape;
import dev.graft.tensor.Tensor;
import dev.graft.tensor.TensorException;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import java.util.stream.IntStream;

/// Keys and values of the tokens a model has seen, per layer, and what else follows from them, so that decoding reads each token once. Owns its memory.
///
/// Each layer has room for more tokens than it holds; new ones are written behind the old in place, and only when the room is used up is all
/// moved to twice as much.
public final class KvCache implements AutoCloseable {
    private static final int SHORTEST = 64;

    private final Scope memory = Scope.detached();
    private final Map<Integer, KeysValues> layers = new HashMap<>();
    private final Map<Object, Tensor> kept = new HashMap<>();
    private final int capacity;
    private int length;

    /// @param capacity most tokens a row can hold
    public KvCache(int capacity) {
        this.capacity = capacity;
    }

    /// Tokens held per row, padding included.
    public int length() {
        return length;
    }

    public int capacity() {
        return capacity;
    }

    /// Rows held; 0 before the first pass.
    public int rows() {
        return layers.values().stream().mapToInt(kv -> kv.keys().dim(0)).findFirst().orElse(0);
    }

    /// Bytes of memory taken.
    public long bytes() {
        return layers.values().stream().mapToLong(kv -> kv.keys().spec().bytes() + kv.values().spec().bytes()).sum()
                + kept.values().stream().mapToLong(t -> t.spec().bytes()).sum();
    }

    /// Writes one layer's keys and values `[B, T, K, D]` behind those held and returns all of them, `[B, length + T, K, D]`, where they lie. Once
    /// every layer has done so, [#advance] makes them part of what is held.
    KeysValues append(int layer, KeysValues more) {
        Tape tape = Tape.recording();
        if (tape != null && (tape.tracks(more.keys()) || tape.tracks(more.values()))) {
            throw new TensorException("[kv_cache] keys and values that need a gradient cannot be cached; train without a cache");
        }
        int end = length + more.keys().dim(1);
        if (end > capacity) throw new TensorException("[kv_cache] %d tokens do not fit into a cache of %d".formatted(end, capacity));
        int rows = rows();
        if (length > 0 && rows != more.keys().dim(0))
            throw new ShapeException("[kv_cache] holds %d rows, got %s".formatted(rows, more.keys().spec()));
        KeysValues held = layers.compute(layer, (_, kv) -> kv != null && fits(kv, more, end) ? kv : grow(kv, more, end));
        write(more.keys(), held.keys());
        write(more.values(), held.values());
        return new KeysValues(held.keys().slice(1, 0, end), held.values().slice(1, 0, end));
    }

    /// Ends a pass over `tokens` tokens per row.
    void advance(int tokens) {
        length += tokens;
    }

    /// Makes row `i` what row `rows[i]` was. Rows may repeat (a prompt that several beams share) and be left out (a text that has ended).
    public void reorder(int... rows) {
        int held = rows();
        for (int row : rows)
            if (row < 0 || row >= held) throw new ShapeException("[kv_cache] row %d is outside 0 … %d".formatted(row, held - 1));
        if (Arrays.equals(rows, IntStream.range(0, held).toArray())) return;
        layers.replaceAll((_, kv) -> new KeysValues(pick(kv.keys(), rows, length), pick(kv.values(), rows, length)));
        kept.replaceAll((_, t) -> pick(t, rows, t.dim(1)));
    }

    /// Keeps a copy of values that belong to the rows, `[B, n, …]`. They follow [#reorder].
    void keep(Object key, Tensor values) {
        Tensor copy = room(values.spec(), values);
        try (var _ = Scope.open(values.backend())) {
            copy.assign(values);
        }
        Tensor before = kept.put(key, copy);
        if (before != null) before.close();
    }

    /// What was kept under a key, or null.
    Tensor kept(Object key) {
        return kept.get(key);
    }

    @Override
    public void close() {
        memory.close();
    }

    private boolean fits(KeysValues kv, KeysValues more, int end) {
        return kv.keys().dim(0) == more.keys().dim(0) && kv.keys().dim(1) >= end;
    }

    private KeysValues grow(KeysValues held, KeysValues more, int end) {
        int room = Math.min(capacity, Math.max(SHORTEST, Math.max(end, 2 * length)));
        return new KeysValues(grow(held == null ? null : held.keys(), more.keys(), room),
                grow(held == null ? null : held.values(), more.values(), room));
    }

    private Tensor grow(Tensor held, Tensor like, int room) {
        Tensor larger = room(like.spec().with(like.shape().with(1, room)), like);
        if (held != null) {
            for (int b = 0; b < held.dim(0) && length > 0; b++) copyRow(held, b, larger, b, length);
            held.close();
        }
        return larger;
    }

    private Tensor pick(Tensor held, int[] rows, int count) {
        Tensor picked = room(held.spec().with(held.shape().with(0, rows.length)), held);
        for (int b = 0; b < rows.length; b++) copyRow(held, rows[b], picked, b, count);
        held.close();
        return picked;
    }

    private Tensor room(Spec spec, Tensor like) {
        try (var _ = Scope.open(like.backend())) {
            return memory.keep(Tensor.zeros(spec));
        }
    }

    private void copyRow(Tensor from, int row, Tensor to, int toRow, int count) {
        try (var _ = Scope.open(to.backend())) {
            to.slice(0, toRow, toRow + 1).slice(1, 0, count).assign(from.slice(0, row, row + 1).slice(1, 0, count));
        }
    }

    /// Row by row, since one row's stretch of tokens has no gaps.
    private void write(Tensor more, Tensor held) {
        try (var _ = Scope.open(held.backend())) {
            for (int b = 0; b < more.dim(0); b++) {
                held.slice(0, b, b + 1).slice(1, length, length + more.dim(1)).assign(more.slice(0, b, b + 1));
            }
        }
    }
}
