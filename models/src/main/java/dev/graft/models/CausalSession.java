package dev.graft.models;

import dev.graft.models.KvCache.Piece;
import dev.graft.models.generate.Session;
import dev.graft.tensor.Scope;
import dev.graft.tensor.Tensor;
import dev.graft.tensor.TensorException;
import dev.graft.tensor.backend.Backend;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/// Decodes with a [CausalLm]: prompts are padded on the left to one length and read in one pass; each further token is a pass of its own over the
/// [KvCache]. Between passes the cache and the last logits are all that is held. Rows may come and go: [#join], [#reorder].
///
/// ```
/// a row of the cache:   [virtual tokens] [padding] [text]        as long as the model has those virtual tokens
///                       [padding] [virtual tokens] [text]        once they are part of the text
/// ```
public final class CausalSession implements Session {
    private final CausalLm model;
    private final Backend backend;
    private final KvCache cache;
    private int virtual;                                                         // tokens before each row that the model knows of itself
    private int[] places;                                                        // of each row, in the cache and in what follows
    private int[] prompts;                                                       // tokens there that were there at first
    private int[] texts;                                                         // tokens there by now
    private int length;                                                          // the longest of them
    private float[][] logits;

    CausalSession(CausalLm model, List<int[]> rows, int maxNewTokens) {
        this.model = model;
        this.backend = model.embedding().weight().value().backend();
        int longest = rows.stream().mapToInt(p -> p.length).max().orElseThrow(() -> new TensorException("[generate] there is no prompt"));
        virtual = model.virtualTokens();
        cache = new KvCache(virtual + longest + maxNewTokens);
        texts = new int[rows.size()];
        places = IntStream.range(0, texts.length).toArray();
        prompts = rows.stream().mapToInt(p -> p.length).toArray();
        int[] ids = new int[rows.size() * longest];
        for (int b = 0; b < prompts.length; b++) {
            if (prompts[b] == 0) throw new TensorException("[generate] prompt " + b + " is empty; begin with the tokenizer's bos");
            System.arraycopy(rows.get(b), 0, ids, (b + 1) * longest - prompts[b], prompts[b]);
        }
        try {
            read(ids, prompts, longest, null);
        } catch (Throwable t) {
            cache.close();
            throw t;
        }
    }

    /// Copies of rows of another.
    private CausalSession(CausalSession from, int[] rows, int columns, int maxNewTokens) {
        model = from.model;
        backend = from.backend;
        virtual = from.virtual;
        int[] were = Arrays.stream(rows).map(row -> from.places[row]).toArray();
        cache = KvCache.of(Arrays.stream(were).mapToObj(place -> from.held(place, from.texts[place])).toList(),
                virtual + columns + maxNewTokens);
        places = IntStream.range(0, rows.length).toArray();
        prompts = Arrays.stream(were).map(place -> from.prompts[place]).toArray();
        texts = Arrays.stream(were).map(place -> from.texts[place]).toArray();
        length = columns;
        logits = Arrays.stream(rows).mapToObj(row -> from.logits[row].clone()).toArray(float[][]::new);
    }

    /// Copies of rows as they are now, which go on by themselves. Rows may repeat.
    ///
    /// @param maxNewTokens most tokens that are to come
    public CausalSession copy(int[] rows, int maxNewTokens) {
        requireRows(rows);
        return new CausalSession(this, rows, Arrays.stream(rows).map(row -> texts[places[row]]).max().orElse(0), maxNewTokens);
    }

    @Override
    public float[][] logits() {
        return logits;
    }

    @Override
    public void advance(int[] ids) {
        if (ids.length != texts.length) {
            throw new TensorException("[generate] %d rows need as many tokens, got %d".formatted(texts.length, ids.length));
        }
        int[] one = new int[ids.length], placed = new int[ids.length];
        Arrays.fill(one, 1);
        for (int i = 0; i < ids.length; i++) placed[places[i]] = ids[i];
        read(placed, one, 1, null);
    }

    /// A copy of the first tokens of a row, as if they had been the beginning of a prompt that ends with others: those are read in one pass. What adapters made of the row's own prompt stays with it.
    ///
    /// @param first how many tokens are the same
    public CausalSession branch(int row, int first, int[] rest, int maxNewTokens) {
        requireRows(new int[] {row});
        if (first < 1 || first > texts[places[row]] || rest.length == 0)
            throw new TensorException(
                    "[generate] row %d has %d tokens, and a branch takes 1 to all of them and goes on with at least one; got %d and %d"
                            .formatted(row, texts[places[row]], first, rest.length));
        CausalSession branch = copy(new int[] {row}, rest.length + maxNewTokens);
        try {
            branch.keep(first);
            branch.prompts[0] = first + rest.length;
            branch.extend(List.of(rest), maxNewTokens);
            return branch;
        } catch (Throwable t) {
            branch.close();
            throw t;
        }
    }

    /// Appends several tokens to each row, in one pass. They are read as what follows the prompts.
    ///
    /// @param more one list per row, all as long
    /// @param maxNewTokens most tokens that are to come behind them
    public void extend(List<int[]> more, int maxNewTokens) {
        extend(more, maxNewTokens, false);
    }

    /// The same, read as prompts of their own: what adapters made of the earlier ones stays in what was computed, and from now on they have what they make of these.
    public void prompt(List<int[]> more, int maxNewTokens) {
        extend(more, maxNewTokens, true);
    }

    private void extend(List<int[]> more, int maxNewTokens, boolean asPrompts) {
        int columns = more.isEmpty() ? 0 : more.getFirst().length;
        if (more.size() != texts.length || columns == 0 || more.stream().anyMatch(m -> m.length != columns))
            throw new TensorException("[generate] %d rows need as many lists of tokens, all of one length above 0, got lengths %s"
                    .formatted(texts.length, more.stream().map(m -> m.length).toList()));
        cache.capacity(Math.max(cache.capacity(), cache.length() + columns + maxNewTokens));
        List<int[]> placed = new ArrayList<>(more);
        for (int i = 0; i < places.length; i++) placed.set(places[i], more.get(i));
        int[] many = new int[texts.length], turns = texts.clone(), before = prompts;
        Arrays.fill(many, columns);
        if (asPrompts) prompts = Arrays.stream(texts).map(text -> text + columns).toArray();
        try {
            read(placed.stream().flatMapToInt(Arrays::stream).toArray(), many, columns, asPrompts ? turns : null);
        } catch (Throwable t) {
            prompts = before;
            throw t;
        }
    }

    /// Forgets all of a single row's text but its first tokens. It can go on by [#extend] only: there are no logits of what it ends with now.
    public void keepFirst(int tokens) {
        if (texts.length != 1 || tokens < prompts[0] || tokens > texts[0])
            throw new TensorException(
                    "[generate] of a single row, at least the %d tokens of its prompt and at most the %d that there are can be kept, got %d"
                            .formatted(prompts[0], texts[0], tokens));
        keep(tokens);
    }

    /// Of a single row.
    private void keep(int tokens) {
        if (tokens == texts[0]) return;
        int end = cache.length(), begin = end - texts[0];
        List<Piece> pieces = new ArrayList<>();
        if (virtual > 0) pieces.add(new Piece(cache, 0, 0, virtual));
        pieces.add(new Piece(cache, 0, begin, begin + tokens));
        cache.assemble(List.of(pieces), cache.capacity());
        texts[0] = length = tokens;
        logits = null;
    }

    /// How many more tokens there is room for.
    int room() {
        return cache.capacity() - cache.length();
    }

    @Override
    public void reorder(int[] rows) {
        requireRows(rows);
        int[] from = Arrays.stream(rows).map(row -> places[row]).toArray();
        int longest = Arrays.stream(from).map(place -> texts[place]).max().orElse(0);
        if (4 * longest < 3 * length) {                                          // much of it is padding now
            cache.assemble(Arrays.stream(from).mapToObj(place -> held(place, longest)).toList(), cache.capacity());
            length = longest;
            places = IntStream.range(0, from.length).toArray();
        } else {
            places = cache.reorder(from);
        }
        prompts = moved(prompts, from);
        texts = moved(texts, from);
        logits = Arrays.stream(rows).mapToObj(row -> logits[row].clone()).toArray(float[][]::new);
    }

    private void requireRows(int[] rows) {
        for (int row : rows)
            if (row < 0 || row >= texts.length)
                throw new TensorException("[generate] row %d is outside 0 … %d".formatted(row, texts.length - 1));
    }

    private int[] moved(int[] values, int[] from) {
        int[] moved = new int[from.length];
        for (int i = 0; i < from.length; i++) moved[places[i]] = values[from[i]];
        return moved;
    }

    /// Where each row is in the tensors of a pass: they stay where they are when others go.
    public int[] places() {
        return places.clone();
    }

    /// Takes in the rows of other sessions of the same model, behind its own, and closes those. Virtual tokens that any was opened with are text from now on: the model must go on
    /// without them.
    public void join(List<CausalSession> others) {
        if (others.isEmpty()) return;
        if (others.stream().anyMatch(s -> s.model != model))
            throw new TensorException("[generate] only sessions of one model can become one");
        List<CausalSession> all = Stream.concat(Stream.of(this), others.stream()).toList();
        int room = all.stream().mapToInt(s -> s.cache.capacity() - s.cache.length()).max().getAsInt();
        all.forEach(CausalSession::settle);
        int longest = all.stream().mapToInt(CausalSession::longest).max().getAsInt();
        List<List<Piece>> rows = all.stream().flatMap(s -> IntStream.range(0, s.texts.length).mapToObj(b -> s.held(b, s.texts[b])))
                .toList();
        cache.assemble(rows, longest + room);
        length = longest;
        others.forEach(CausalSession::close);
        int[] joined = new int[rows.size()];
        int before = 0;
        for (CausalSession s : all) {
            for (int i = 0; i < s.places.length; i++) joined[before + i] = before + s.places[i];
            before += s.places.length;
        }
        places = joined;
        prompts = all.stream().flatMapToInt(s -> Arrays.stream(s.prompts)).toArray();
        texts = all.stream().flatMapToInt(s -> Arrays.stream(s.texts)).toArray();
        logits = all.stream().flatMap(s -> Arrays.stream(s.logits)).toArray(float[][]::new);
    }

    /// Makes virtual tokens part of the text: the model must go on without them.
    public void settle() {
        if (virtual == 0) return;
        cache.assemble(IntStream.range(0, texts.length).mapToObj(b -> held(b, texts[b])).toList(), cache.capacity());
        for (int b = 0; b < texts.length; b++) {
            prompts[b] += virtual;
            texts[b] += virtual;
        }
        length = longest();
        virtual = 0;
    }

    private int longest() {
        return Arrays.stream(texts).max().orElse(0);
    }

    /// Bytes of memory taken by the cache and by logits.
    public long bytes() {
        return cache.bytes() + (logits == null ? 0 : Arrays.stream(logits).mapToLong(row -> 4L * row.length).sum());
    }

    @Override
    public void close() {
        cache.close();
    }

    /// What the cache has of a row: its virtual tokens, and the last columns of its text.
    private List<Piece> held(int row, int columns) {
        int end = cache.length();
        List<Piece> pieces = new ArrayList<>();
        if (virtual > 0) pieces.add(new Piece(cache, row, 0, virtual));
        pieces.add(new Piece(cache, row, end - columns, end));
        return pieces;
    }

    /// Reads more of each row, as many columns for all, and keeps the logits after the last.
    ///
    /// @param ids `[B, columns]`, on the right
    /// @param more how many of them are tokens
    /// @param turns where they are prompts of their own, how many tokens there are before them; else null
    private void read(int[] ids, int[] more, int columns, int[] turns) {
        if (model.virtualTokens() != virtual)
            throw new TensorException(
                    "[generate] the prompts were read with %d virtual tokens, and the model has %d now; read them again".formatted(
                            virtual, model.virtualTokens()));
        int end = length + columns;
        int[] after = IntStream.range(0, texts.length).map(b -> texts[b] + more[b]).toArray();
        if (columns == 1) backend.together("decode", () -> read(ids, after, columns, turns, end));
        else read(ids, after, columns, turns, end);
        texts = after;
        length = end;
    }

    private void read(int[] ids, int[] after, int columns, int[] turns, int end) {
        int rows = after.length;
        boolean padded = Arrays.stream(after).anyMatch(text -> text < end);
        try (var _ = Scope.open(backend); var _ = Scope.untracked()) {
            Tensor mask = padded ? Tensor.of(table(rows, end, (b, s) -> s < end - after[b] ? 0 : 1), rows, end) : null;
            Tensor positions = Tensor.of(table(rows, columns, (b, t) -> Math.max(0, after[b] - columns + t)), rows, columns);
            Tensor h = model.hidden(new Inputs(Tensor.of(ids, rows, columns), mask, positions, Tensor.of(prompts, rows),
                    null, turns == null ? null : Tensor.of(turns, rows)), cache);
            Tensor last = h.slice(1, columns - 1, columns).reshape(rows, h.dim(2));            // [B, C]
            float[] flat = model.head().forward(last).toFloats();                                  // [B, V]
            int vocab = flat.length / rows;
            logits = Arrays.stream(places).mapToObj(b -> Arrays.copyOfRange(flat, b * vocab, (b + 1) * vocab)).toArray(float[][]::new);
        }
    }

    private interface Cell {
        int at(int row, int column);
    }

    private static int[] table(int rows, int columns, Cell cell) {
        int[] values = new int[rows * columns];
        for (int i = 0; i < values.length; i++) values[i] = cell.at(i / columns, i % columns);
        return values;
    }
}
