package dev.graft.models;

import dev.graft.tensor.Scope;
import dev.graft.tensor.ShapeException;
import dev.graft.tensor.Spec;
import dev.graft.tensor.Tape;
import dev.graft.tensor.Tensor;
import dev.graft.tensor.TensorException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;

/// Keys and values of the tokens a model has seen, per layer, and what else follows from them, so that decoding reads each token once. Owns its memory.
///
/// Each layer has room for more tokens than it holds; new ones are written behind the old in place, and only when the room is used up is all
/// moved to twice as much. It may have room for more rows, too: those that stay when others go stay where they are.
public final class KvCache implements AutoCloseable {
    private static final int SHORTEST = 64;

    private final Scope memory = Scope.detached();
    private final Map<Integer, KeysValues> layers = new HashMap<>();
    private final Map<Object, Kept> kept = new HashMap<>();
    private int capacity;
    private int length;
    private int rows;

    /// What follows from the prompts of some rows, with memory for those alone: where each row has an adapter of its own, what one asks about is one row's.
    private final class Kept {
        private Tensor values;                                                   // [places, …]
        private final int[] place;                                               // of each row; -1 where it never had anything
        private final boolean[] has;
        private int taken;

        /// @param values with memory for as many rows as have something at first
        /// @param rows of the cache
        Kept(Tensor values, int rows) {
            this.values = values;
            place = IntStream.generate(() -> -1).limit(rows).toArray();
            has = new boolean[rows];
        }

        /// Row `toRow` gets a copy of a row of these.
        void put(Tensor from, int row, int toRow) {
            copyRow(from, row, 0, from.dim(1), values, place(toRow), 0);
        }

        /// Row `toRow` is now what another one is.
        void copy(int row, int toRow) {
            if (has[row]) {
                int at = place(toRow);
                copyRow(values, place[row], 0, values.dim(1), values, at, 0);
            }
            has[toRow] = has[row];
        }

        private int place(int row) {
            has[row] = true;
            if (place[row] < 0) {
                if (taken == values.dim(0)) grow();
                place[row] = taken++;
            }
            return place[row];
        }

        private void grow() {
            Tensor larger = room(values, Math.min(place.length, 2 * taken));
            try (var _ = Scope.open(values.backend())) {
                larger.slice(0, 0, taken).assign(values);
            }
            values.close();
            values = larger;
        }

        /// Null when one of these rows has nothing.
        Tensor of(int[] rows) {
            if (!IntStream.of(rows).allMatch(b -> has[b])) return null;
            int[] at = IntStream.of(rows).map(b -> place[b]).toArray();
            return Pass.Picked.from(values, at);
        }
    }

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
        return rows;
    }

    /// Bytes of memory taken.
    public long bytes() {
        return layers.values().stream().mapToLong(kv -> kv.keys().spec().bytes() + kv.values().spec().bytes()).sum()
                + kept.values().stream().mapToLong(k -> k.values.spec().bytes()).sum();
    }

    /// One layer's keys and values of the tokens held, `[B, length, K, D]` each, as attention meets them (rotated, where a model rotates), where they lie.
    public KeysValues held(int layer) {
        KeysValues kv = layers.get(layer);
        if (kv == null) throw new TensorException("[kv_cache] holds nothing of layer %d".formatted(layer));
        return first(kv, length);
    }

    private KeysValues first(KeysValues kv, int tokens) {
        return new KeysValues(kv.keys().slice(0, 0, rows).slice(1, 0, tokens), kv.values().slice(0, 0, rows).slice(1, 0, tokens));
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
        if (length == 0) rows = more.keys().dim(0);
        if (rows != more.keys().dim(0))
            throw new ShapeException("[kv_cache] holds %d rows, got %s".formatted(rows, more.keys().spec()));
        KeysValues held = layers.compute(layer, (_, kv) -> kv != null && fits(kv, more, end) ? kv : grow(kv, more, end));
        write(more.keys(), held.keys());
        write(more.values(), held.values());
        return first(held, end);
    }

    /// Ends a pass over `tokens` tokens per row.
    void advance(int tokens) {
        length += tokens;
    }

    /// Makes the rows what `rows` were, in any order, so that few need to move: a row stays where it is unless it is left out, and only a second row that was the same is a copy. Rows may repeat (a prompt
    /// that several beams share) and be left out (a text that has ended).
    ///
    /// @return where each of them is now: what was row `rows[i]` is row `place[i]`
    public int[] reorder(int... rows) {
        int n = rows.length, held = rows();
        for (int row : rows)
            if (row < 0 || row >= held) throw new ShapeException("[kv_cache] row %d is outside 0 … %d".formatted(row, held - 1));
        if (n > held || 2 * n < room()) {
            assemble(Arrays.stream(rows).mapToObj(row -> List.of(new Piece(this, row, 0, length))).toList(), capacity);
            return IntStream.range(0, n).toArray();
        }
        int[] place = new int[n];
        boolean[] taken = new boolean[n];
        for (int i = 0; i < n; i++) {
            boolean stays = rows[i] < n && !taken[rows[i]];
            place[i] = stays ? rows[i] : -1;
            if (stays) taken[rows[i]] = true;
        }
        for (int i = 0, free = 0; i < n; i++) {
            if (place[i] >= 0) continue;
            while (taken[free]) free++;
            place[i] = free++;
            copyRow(rows[i], place[i]);
        }
        this.rows = n;
        return place;
    }

    /// Rows that there is memory for.
    private int room() {
        return layers.values().stream().mapToInt(kv -> kv.keys().dim(0)).findFirst().orElse(0);
    }

    private void copyRow(int row, int toRow) {
        layers.values().forEach(kv -> {
            copyRow(kv.keys(), row, 0, length, kv.keys(), toRow, 0);
            copyRow(kv.values(), row, 0, length, kv.values(), toRow, 0);
        });
        kept.values().forEach(own -> own.copy(row, toRow));
    }

    /// A stretch of tokens of a row.
    record Piece(KvCache cache, int row, int from, int to) {
        int length() {
            return to - from;
        }
    }

    /// One whose rows are these pieces of others, as [#assemble] makes them.
    static KvCache of(List<List<Piece>> rows, int capacity) {
        KvCache cache = new KvCache(capacity);
        cache.fill(rows, capacity);
        return cache;
    }

    /// Makes room for as many tokens a row, of which there are no more than that yet.
    void capacity(int tokens) {
        capacity = tokens;
    }

    /// Makes each row what these pieces are, one behind another, all rows ending together; what is left free before the shorter ones is padding. What is kept comes from the cache of a
    /// row's first piece.
    void assemble(List<List<Piece>> rows, int newCapacity) {
        List<Tensor> before = new ArrayList<>(kept.values().stream().map(k -> k.values).toList());
        layers.values().forEach(kv -> before.addAll(List.of(kv.keys(), kv.values())));
        fill(rows, newCapacity);
        before.forEach(Tensor::close);
    }

    /// Takes in copies, and forgets what it held. When there is no memory for them, all stays as it was.
    private void fill(List<List<Piece>> rows, int newCapacity) {
        int longest = rows.stream().mapToInt(KvCache::length).max().orElse(0);
        Map<Object, Kept> picked = new HashMap<>();
        Map<Integer, KeysValues> all = new HashMap<>();
        List<Tensor> made = new ArrayList<>();
        try {
            for (int b = 0; b < rows.size(); b++) {
                Piece first = rows.get(b).getFirst();
                int row = b;
                first.cache.kept.forEach((key, held) -> {
                    if (!held.has[first.row]) return;
                    Kept own = picked.computeIfAbsent(key, _ -> new Kept(added(made, room(held.values, having(key, rows))), rows.size()));
                    own.put(held.values, held.place[first.row], row);
                });
            }
            KvCache like = rows.isEmpty() ? this : rows.getFirst().getFirst().cache;
            like.layers.forEach((layer, kv) -> all.put(layer,
                    new KeysValues(added(made, pick(rows, layer, true, longest, newCapacity, kv.keys())),
                            added(made, pick(rows, layer, false, longest, newCapacity, kv.values())))));
        } catch (Throwable t) {
            made.forEach(Tensor::close);
            throw t;
        }
        layers.clear();
        layers.putAll(all);
        kept.clear();
        kept.putAll(picked);
        capacity = newCapacity;
        length = longest;
        this.rows = rows.size();
    }

    /// How many of the rows have something under a key.
    private static int having(Object key, List<List<Piece>> rows) {
        return (int) rows.stream().map(List::getFirst).filter(p -> p.cache.kept.containsKey(key) && p.cache.kept.get(key).has[p.row])
                .count();
    }

    private static Tensor added(List<Tensor> to, Tensor t) {
        to.add(t);
        return t;
    }

    private static int length(List<Piece> row) {
        return row.stream().mapToInt(Piece::length).sum();
    }

    /// Keeps a copy of values that belong to the rows, `[B, …]`, or to some of them. They follow [#reorder].
    void keep(Object key, Tensor values, Pass.Picked picked) {
        if (length == 0) rows = picked == null ? values.dim(0) : picked.of();    // before the first layer has come
        int[] own = picked == null ? IntStream.range(0, values.dim(0)).toArray() : picked.rows();
        Kept all = kept.computeIfAbsent(key, _ -> new Kept(room(values, own.length), picked == null ? own.length : picked.of()));
        for (int i = 0; i < own.length; i++) all.put(values, i, own[i]);
    }

    /// What was kept under a key for all rows or some; null when one of them has nothing.
    Tensor kept(Object key, Pass.Picked picked) {
        Kept all = kept.get(key);
        return all == null ? null : all.of(picked == null ? IntStream.range(0, rows).toArray() : picked.rows());
    }

    @Override
    public void close() {
        memory.close();
    }

    private boolean fits(KeysValues kv, KeysValues more, int end) {
        return kv.keys().dim(0) >= more.keys().dim(0) && kv.keys().dim(1) >= end;
    }

    private KeysValues grow(KeysValues held, KeysValues more, int end) {
        int room = Math.min(capacity, length == 0 ? end + SHORTEST : Math.max(end, 2 * length));
        return new KeysValues(grow(held == null ? null : held.keys(), more.keys(), room),
                grow(held == null ? null : held.values(), more.values(), room));
    }

    private Tensor grow(Tensor held, Tensor like, int room) {
        Tensor larger = room(like.spec().with(like.shape().with(1, room)), like);
        if (held != null) {
            for (int b = 0; b < rows && length > 0; b++) copyRow(held, b, 0, length, larger, b, 0);
            held.close();
        }
        return larger;
    }

    /// @param held as much room for a row as that has, if it will do
    private Tensor pick(List<List<Piece>> rows, int layer, boolean ofKeys, int longest, int capacity, Tensor held) {
        int room = held.dim(1) > longest && held.dim(1) <= 4 * Math.max(SHORTEST, longest) ? Math.min(capacity, held.dim(1))
                : Math.min(capacity, Math.max(SHORTEST, 2 * longest));
        Tensor picked = room(held.spec().with(held.shape().with(0, rows.size()).with(1, room)), held);
        for (int b = 0; b < rows.size(); b++) {
            int at = longest - length(rows.get(b));
            for (Piece piece : rows.get(b)) {
                copyRow(piece.cache.side(layer, ofKeys), piece.row, piece.from, piece.to, picked, b, at);
                at += piece.length();
            }
        }
        return picked;
    }

    private Tensor side(int layer, boolean ofKeys) {
        return ofKeys ? layers.get(layer).keys() : layers.get(layer).values();
    }

    /// As much for each of these rows.
    private Tensor room(Tensor like, int rows) {
        return room(like.spec().with(like.shape().with(0, rows)), like);
    }

    private Tensor room(Spec spec, Tensor like) {
        try (var _ = Scope.open(like.backend())) {
            return memory.keep(Tensor.zeros(spec));
        }
    }

    private static void copyRow(Tensor from, int row, int begin, int end, Tensor to, int toRow, int at) {
        if (begin == end) return;
        try (var _ = Scope.open(to.backend())) {
            to.slice(0, toRow, toRow + 1).slice(1, at, at + end - begin).assign(from.slice(0, row, row + 1).slice(1, begin, end));
        }
    }

    private void write(Tensor more, Tensor held) {
        try (var _ = Scope.open(held.backend())) {
            held.slice(0, 0, more.dim(0)).slice(1, length, length + more.dim(1)).assign(more);
        }
    }
}
