package dev.graft.models;

import dev.graft.models.generate.Session;
import dev.graft.tensor.Scope;
import dev.graft.tensor.Tensor;
import dev.graft.tensor.TensorException;
import dev.graft.tensor.backend.Backend;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;

/// Decodes with a [CausalLm]: prompts are padded on the left to one length and read in one pass; each further token is a pass of its own over the
/// [KvCache]. Between passes the cache and the last logits are all that is held.
final class CausalSession implements Session {
    private final CausalLm model;
    private final Backend backend;
    private final KvCache cache;
    private final int prompt;                                                    // tokens per row that were there at first, padding included
    private int[] padding;                                                       // per row, left of its first token
    private int length;                                                          // tokens per row, padding included
    private float[][] logits;

    CausalSession(CausalLm model, List<int[]> prompts, int maxNewTokens) {
        this.model = model;
        this.backend = model.embedding().weight().value().backend();
        int longest = prompts.stream().mapToInt(p -> p.length).max()
                .orElseThrow(() -> new TensorException("[generate] there is no prompt"));
        cache = new KvCache(model.virtualTokens() + longest + maxNewTokens);
        prompt = longest;
        padding = prompts.stream().mapToInt(p -> longest - p.length).toArray();
        int[] ids = new int[prompts.size() * longest];
        for (int b = 0; b < padding.length; b++) {
            int[] prompt = prompts.get(b);
            if (prompt.length == 0) throw new TensorException("[generate] prompt " + b + " is empty; begin with the tokenizer's bos");
            System.arraycopy(prompt, 0, ids, b * longest + padding[b], prompt.length);
        }
        try {
            read(ids, longest);
        } catch (Throwable t) {
            cache.close();
            throw t;
        }
    }

    @Override
    public float[][] logits() {
        return logits;
    }

    @Override
    public void advance(int[] ids) {
        if (ids.length != padding.length) {
            throw new TensorException("[generate] %d rows need as many tokens, got %d".formatted(padding.length, ids.length));
        }
        read(ids, 1);
    }

    @Override
    public void reorder(int[] rows) {
        cache.reorder(rows);
        padding = Arrays.stream(rows).map(row -> padding[row]).toArray();
        logits = Arrays.stream(rows).mapToObj(row -> logits[row].clone()).toArray(float[][]::new);
    }

    @Override
    public void close() {
        cache.close();
    }

    /// Reads `tokens` more ids per row and keeps the logits after the last.
    private void read(int[] ids, int tokens) {
        int rows = padding.length;
        int end = length + tokens;
        boolean padded = Arrays.stream(padding).anyMatch(p -> p > 0);
        try (var _ = Scope.open(backend); var _ = Scope.untracked()) {
            Tensor mask = padded ? Tensor.of(table(rows, end, (b, s) -> s < padding[b] ? 0 : 1), rows, end) : null;
            Tensor positions = Tensor.of(table(rows, tokens, (b, t) -> Math.max(0, length + t - padding[b])), rows, tokens);
            Tensor prompts = Tensor.of(Arrays.stream(padding).map(p -> prompt - p).toArray(), rows);
            Tensor h = model.hidden(new Inputs(Tensor.of(ids, rows, tokens), mask, positions, prompts), cache);
            Tensor last = h.slice(1, tokens - 1, tokens).reshape(rows, h.dim(2));              // [B, C]
            float[] flat = model.head().forward(last).toFloats();                                  // [B, V]
            int vocab = flat.length / rows;
            logits = IntStream.range(0, rows).mapToObj(b -> Arrays.copyOfRange(flat, b * vocab, (b + 1) * vocab)).toArray(float[][]::new);
        }
        length = end;
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
