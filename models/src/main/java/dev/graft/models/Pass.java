package dev.graft.models;

import dev.graft.tensor.DType;
import dev.graft.tensor.Tensor;
import dev.graft.tensor.TensorException;
import java.util.IdentityHashMap;
import java.util.Map;
import java.util.function.Supplier;
import java.util.stream.IntStream;

/// One pass over a batch: what attention needs besides the activations. S counts the keys in reach: virtual tokens, cached ones and the T of this pass.
///
/// @param positions I32 `[B, T]`, each less than S
/// @param keys S
/// @param mask I32 `[B, S]`, 0 where a key is padding; null when none is
/// @param bias added to the scores, `[B or 1, H or 1, 1, S]` (ALiBi); null when there is none
/// @param prefix keys and values to put before the first token of each layer; null when there are none, or the cache has them already
/// @param cache keys and values of earlier tokens; null when there are none
/// @param prompts position behind each row's prompt, I32 `[B, 1]`; null where rows are prompts as a whole
/// @param virtual positions that virtual tokens take before the text
/// @param tasks which task each row is, I32 `[B]`; null where it is up to the adapter
/// @param turns position where the prompt of each row begins that this pass reads behind what the cache holds, I32 `[B, 1]`; null where it reads none there
/// @param picked the rows of the batch that this is about; null for all
/// @param said what was made of the prompts in this pass, where no cache keeps it
public record Pass(Tensor positions, int keys, Tensor mask, Tensor bias, VirtualTokens.Prefix prefix, KvCache cache, Tensor prompts,
        int virtual, Tensor tasks, Tensor turns, Picked picked, Map<Object, Tensor> said) {
    static final ScopedValue<Pass> CURRENT = ScopedValue.newInstance();

    /// Some of the rows of a batch.
    ///
    /// @param of how many the batch has
    public record Picked(int[] rows, int of) {
        /// Some rows of a tensor, where they lie if they are neighbours, else copied.
        public static Tensor from(Tensor x, int[] rows) {
            boolean neighbours = IntStream.range(1, rows.length).allMatch(i -> rows[i] == rows[0] + i);
            return neighbours ? x.slice(0, rows[0], rows[0] + rows.length) : x.gather(Tensor.of(rows, rows.length));
        }

        private Tensor from(Tensor x) {
            return x == null ? null : from(x, rows);
        }
    }

    public Pass(Tensor positions, int keys, Tensor mask, Tensor bias, VirtualTokens.Prefix prefix, KvCache cache, Tensor prompts,
            int virtual) {
        this(positions, keys, mask, bias, prefix, cache, prompts, virtual, null, null, null, new IdentityHashMap<>());
    }

    /// The pass that the block around the caller is part of: for what surrounds a layer and asks where in the text it is.
    public static Pass current() {
        if (!CURRENT.isBound()) throw new TensorException("there is no pass outside of a model's blocks");
        return CURRENT.get();
    }

    /// Whether there is one.
    public static boolean isUnderWay() {
        return CURRENT.isBound();
    }

    /// A pass over rows `[B, T, C]` without padding, cache or prefix.
    static Pass over(Tensor x) {
        int t = x.dim(1);
        return new Pass(Tensor.range(DType.I32, t).expand(x.dim(0), t), t, null, null, null, null, null, 0);
    }

    public Pass withBias(Tensor other) {
        return new Pass(positions, keys, mask, other, prefix, cache, prompts, virtual, tasks, turns, picked, said);
    }

    /// Does some work on these rows alone, which then ask for [#current] and get what concerns them. Attention needs all rows.
    ///
    /// @param rows of the batch, which this pass is about as a whole
    public <T> T with(int[] rows, Supplier<T> work) {
        Picked some = new Picked(rows, positions.dim(0));
        Pass part = new Pass(some.from(positions), keys, some.from(mask), null, null, cache, some.from(prompts), virtual, some.from(tasks),
                some.from(turns), some, said);
        return ScopedValue.where(CURRENT, part).call(work::get);
    }

    /// The same pass, of each prompt its first tokens being the prompt.
    public Pass ofFirst(int most) {
        Tensor end = end();
        return new Pass(positions, keys, mask, bias, prefix, cache, end.min(begin(end).add(most)), virtual, tasks, turns, picked, said);
    }

    /// 1 at the tokens of each row's prompt, else 0: I32 `[B, T, 1]`. Padding, virtual tokens and what follows the prompt are none of them, so
    /// decoding finds 0 where a pass over the whole text does.
    public Tensor prompted() {
        Tensor end = end(), begin = begin(end);
        return shown(begin.le(positions).mul(positions.lt(end)));
    }

    /// The same of each prompt's last token alone.
    public Tensor lastOfPrompts() {
        return prompted().mul(positions.eq(end().sub(1)).unsqueeze(2));
    }

    /// The same of the first and the last tokens of prompts alone, of neither more than half of a prompt, rounded down.
    public Tensor ends(int first, int last) {
        Tensor end = end(), begin = begin(end);
        Tensor twice = positions.mul(2), both = begin.add(end);
        Tensor early = positions.lt(begin.add(first)).mul(twice.add(2).le(both));                     // 2 (p + 1 − begin) ≤ end − begin
        Tensor late = end.sub(last).le(positions).mul(both.le(twice));
        return prompted().mul(early.max(late).unsqueeze(2));
    }

    /// Whether this is a pass that reads prompts: it begins at the beginning of its rows, or takes what it reads behind that as a prompt of its own.
    public boolean readsPrompts() {
        return cache == null || cache.length() == 0 || turns != null;
    }

    /// What follows from the prompts alone, `[B, …]`: made by the pass that reads them, kept with its cache, and given to the passes that go on from there.
    ///
    /// @param key whose it is: the same object in every pass
    public Tensor ofPrompts(Object key, Supplier<Tensor> made) {
        if (!readsPrompts()) return ofPrompts(key);
        if (prompts != null && prompts.sub(positions.max(1)).max().item() > 1)
            throw new TensorException(
                    "a prompt ends behind this pass; an adapter that asks about prompts needs each to be read in one pass");
        if (cache == null) said.put(key, made.get());
        else cache.keep(key, made.get(), picked);
        return ofPrompts(key);
    }

    /// The same for those who did not make it, further on in the pass.
    public Tensor ofPrompts(Object key) {
        Tensor found = cache == null ? said.get(key) : cache.kept(key, picked);
        if (found == null)
            throw new TensorException(
                    "the prompts in this cache were read without an adapter that is asked about them now; read them again");
        return found;
    }

    /// Position where each row's prompt begins, `[B, 1]`.
    private Tensor begin(Tensor end) {
        return turns == null ? Tensor.full(end.spec(), virtual) : turns;
    }

    /// Position behind each row's prompt, `[B, 1]`.
    private Tensor end() {
        if (prompts == null && cache != null && cache.length() > 0)
            throw new TensorException("a pass over a cache must say where the prompts end; see Inputs.prompts");
        return prompts == null ? positions.max(1).add(1) : prompts;
    }

    private Tensor shown(Tensor one) {
        return (mask == null ? one : one.mul(mask.slice(1, keys - positions.dim(1), keys))).unsqueeze(2);
    }
}
