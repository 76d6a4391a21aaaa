package dev.graft.peft;

import dev.graft.models.Pass;
import dev.graft.models.Pass.Picked;
import dev.graft.models.SelfAttention;
import dev.graft.nn.Layer;
import dev.graft.nn.LayerHook;
import dev.graft.tensor.Scope;
import dev.graft.tensor.Shape;
import dev.graft.tensor.Spec;
import dev.graft.tensor.Tensor;
import dev.graft.tensor.op.GroupedLowRank;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.Supplier;
import java.util.function.UnaryOperator;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/// What the adapters of a batch's rows do at one layer, sorted by how it is done.
///
/// ```
/// low-rank products of all rows      one op                                            [GroupedLowRank]
/// scales of all rows                 one product, by vectors that are put together once
/// anything else before and behind    adapter by adapter, of its own rows
/// what surrounds the layer           adapter by adapter, layer and all
/// ```
final class LayerRows implements AutoCloseable {
    private final int rows;
    private final LayerHook whole;                                               // where all rows have one adapter
    private final List<Member> lowRank, others;
    private final List<Apart> apart;
    private final Scales scales = new Scales(), inputScales = new Scales();
    private final GroupedLowRank product;
    private final List<Part.LowRank> factors;

    /// What one adapter does here.
    ///
    /// @param rows which have it; null for all
    /// @param parts innermost first
    /// @param alone the same adapter for every row, which holds while its parts are at work
    record Member(int[] rows, List<Part> parts, RowAdapters alone) {
        private boolean is(Class<? extends Part> kind) {
            return parts.size() == 1 && kind.isInstance(parts.getFirst());
        }

        private boolean has(Class<? extends Part> kind) {
            return parts.stream().anyMatch(kind::isInstance);
        }

        private boolean changesInput() {
            return parts.stream().anyMatch(Part::changesInput);
        }

        private boolean changesOutput() {
            return parts.stream().anyMatch(p -> !p.changesInput() && !(p instanceof Part.OfPrompts));
        }

        /// What each part sees of x, the outermost having the first say; the first of these is what the layer sees.
        private Tensor[] inputs(Tensor x) {
            Tensor[] seen = new Tensor[parts.size()];
            for (int i = parts.size() - 1; i >= 0; i--) seen[i] = x = parts.get(i).before(x);
            return seen;
        }

        private Tensor after(Tensor[] seen, Tensor y) {
            for (int i = 0; i < seen.length; i++) y = parts.get(i).after(seen[i], y);
            return y;
        }

        /// Does what concerns these rows as if they were all there is.
        private <T> T own(Supplier<T> work) {
            Supplier<T> asAlone = () -> ScopedValue.where(RowAdapters.CURRENT, alone).call(work::get);
            return Pass.isUnderWay() ? Pass.current().with(rows, asAlone) : asAlone.get();
        }
    }

    /// One that surrounds the layer as a whole.
    private record Apart(Member member, LayerHook hook) {
    }

    /// @param here not empty
    LayerRows(int rows, List<Member> here) {
        this.rows = rows;
        whole = here.size() == 1 && here.getFirst().rows == null ? Site.hook(here.getFirst().parts, 1) : null;
        apart = here.stream().filter(m -> m.has(Part.Around.class)).map(m -> new Apart(m, Site.hook(m.parts, 1))).toList();
        lowRank = here.stream().filter(m -> m.is(Part.LowRank.class)).toList();
        here.stream().filter(m -> m.is(Part.Scaled.class)).forEach(m -> scales.add(m, ((Part.Scaled) m.parts.getFirst()).l()));
        here.stream().filter(m -> m.is(Part.ScaledInput.class))
                .forEach(m -> inputScales.add(m, ((Part.ScaledInput) m.parts.getFirst()).l()));
        others = here.stream()
                .filter(m -> !m.has(Part.Around.class) && Stream.of(Part.LowRank.class, Part.Scaled.class, Part.ScaledInput.class)
                        .noneMatch(m::is))
                .toList();
        TreeMap<Integer, GroupedLowRank.Run> runs = new TreeMap<>();
        TreeMap<Integer, Part.LowRank> factors = new TreeMap<>();
        if (whole == null) lowRank.forEach(m -> runs(m, runs, factors));
        product = new GroupedLowRank(List.copyOf(runs.values()));
        this.factors = List.copyOf(factors.values());
    }

    /// A member's rows as stretches of neighbours, by their first row.
    private static void runs(Member m, Map<Integer, GroupedLowRank.Run> runs, Map<Integer, Part.LowRank> factors) {
        Part.LowRank part = (Part.LowRank) m.parts.getFirst();
        for (int i = 0, from = 0; i < m.rows.length; i++) {
            if (i + 1 < m.rows.length && m.rows[i + 1] == m.rows[i] + 1) continue;
            runs.put(m.rows[from], new GroupedLowRank.Run(m.rows[from], m.rows[i] + 1, part.s()));
            factors.put(m.rows[from], part);
            from = i + 1;
        }
    }

    /// Throws where an adapter cannot be that of some rows among others: attention is computed for all rows of a batch or for none.
    static void requireShareable(Layer layer, List<Part> parts) {
        if (parts.stream().anyMatch(Part.Around.class::isInstance) && layer.modules(SelfAttention.class).findAny().isPresent())
            throw new AdapterException(
                    "the adapter surrounds '%s', which cannot be computed for some rows of a batch alone; one that says what it changes before and after it can share a batch"
                            .formatted(layer.path()));
    }

    Tensor around(Tensor x, UnaryOperator<Tensor> next) {
        return whole != null ? whole.around(x, next) : Scope.result(() -> mixed(x, next));
    }

    private Tensor mixed(Tensor x, UnaryOperator<Tensor> next) {
        boolean readsPrompts = !Pass.isUnderWay() || Pass.current().readsPrompts();
        Map<Member, Tensor[]> seen = new IdentityHashMap<>();
        List<Piece> changed = new ArrayList<>();
        for (Member m : others) {
            if (!m.changesInput() && !(readsPrompts && m.has(Part.OfPrompts.class))) continue;
            seen.put(m, m.own(() -> m.inputs(Picked.from(x, m.rows))));
            if (m.changesInput()) changed.add(new Piece(m.rows, seen.get(m)[0]));
        }
        Tensor in = inputScales.times(place(x, changed), readsPrompts);
        Tensor y = computed(in, next);
        if (!lowRank.isEmpty()) {
            List<Tensor> inputs = new ArrayList<>(List.of(y, in));
            for (Part.LowRank f : factors) inputs.addAll(List.of(f.a().value(), f.b().value()));
            y = product.apply(inputs.toArray(Tensor[]::new));
        }
        y = scales.times(y, readsPrompts);
        List<Piece> finished = new ArrayList<>();
        for (Member m : others) {
            if (!m.changesOutput()) continue;
            Tensor own = Picked.from(y, m.rows);
            Tensor[] inputs = seen.containsKey(m) ? seen.get(m) : same(Picked.from(x, m.rows), m.parts.size());
            finished.add(new Piece(m.rows, m.own(() -> m.after(inputs, own))));
        }
        return place(y, finished);
    }

    private static Tensor[] same(Tensor x, int count) {
        Tensor[] all = new Tensor[count];
        Arrays.fill(all, x);
        return all;
    }

    /// The layer's output, of some rows with what an adapter puts around the layer as a whole.
    private Tensor computed(Tensor in, UnaryOperator<Tensor> next) {
        if (apart.isEmpty()) return next.apply(in);
        List<Piece> pieces = new ArrayList<>();
        for (Apart a : apart) {
            int[] rows = a.member.rows;
            Tensor own = Picked.from(in, rows);
            pieces.add(new Piece(rows, a.member.own(() -> a.hook.around(own, next))));
        }
        int[] rest = rest(pieces, rows);
        if (rest.length > 0) pieces.add(new Piece(rest, next.apply(Picked.from(in, rest))));
        return together(pieces);
    }

    /// Vectors by which rows are scaled.
    private static final class Scales {
        private final List<Member> members = new ArrayList<>();
        private final List<Supplier<Tensor>> vectors = new ArrayList<>();
        private final Scope memory = Scope.detached();
        private Tensor held;

        void add(Member m, Supplier<Tensor> l) {
            members.add(m);
            vectors.add(l);
        }

        /// They stay the same from the reading of the prompts on.
        Tensor times(Tensor x, boolean readsPrompts) {
            if (members.isEmpty()) return x;
            if (held == null && !readsPrompts) held = memory.keep(all(x).copy());
            return x.mul(held == null ? all(x) : held);
        }

        void move(int[] from) {
            if (held == null || Arrays.equals(from, IntStream.range(0, held.dim(0)).toArray())) return;
            try (var _ = Scope.open(held.backend())) {
                Tensor moved = memory.keep(held.gather(Tensor.of(from, from.length)));
                held.close();
                held = moved;
            }
        }

        /// Those of all rows, `[B, 1, …, n]`, 1 where a row has none.
        private Tensor all(Tensor like) {
            int[] ones = new int[like.shape().rank()];
            Arrays.fill(ones, 1);
            Shape row = Shape.of(ones).with(-1, like.dim(-1));
            List<Piece> pieces = new ArrayList<>();
            for (int i = 0; i < members.size(); i++) {
                Member m = members.get(i);
                Tensor own = m.own(vectors.get(i));
                pieces.add(new Piece(m.rows, (own.shape().rank() == 1 ? own.reshape(row) : own).expand(row.with(0, m.rows.length))));
            }
            return place(Tensor.ones(new Spec(row, like.dtype())).expand(row.with(0, like.dim(0))), pieces);
        }
    }

    /// Row b is now what row `from[b]` was.
    void move(int[] from) {
        scales.move(from);
        inputScales.move(from);
    }

    @Override
    public void close() {
        scales.memory.close();
        inputScales.memory.close();
    }

    // ---- rows ----

    /// Values of some rows, which ascend.
    private record Piece(int[] rows, Tensor values) {
    }

    /// x with some rows replaced.
    private static Tensor place(Tensor x, List<Piece> pieces) {
        if (pieces.isEmpty()) return x;
        List<Piece> all = new ArrayList<>(pieces);
        int[] rest = rest(pieces, x.dim(0));
        if (rest.length > 0) all.add(new Piece(rest, Picked.from(x, rest)));
        return together(all);
    }

    private static int[] rest(List<Piece> pieces, int rows) {
        boolean[] taken = new boolean[rows];
        for (Piece p : pieces) for (int b : p.rows) taken[b] = true;
        return IntStream.range(0, rows).filter(b -> !taken[b]).toArray();
    }

    /// Pieces that are all rows of a batch, in order.
    private static Tensor together(List<Piece> pieces) {
        int[] order = pieces.stream().flatMapToInt(p -> Arrays.stream(p.rows)).toArray(), at = new int[order.length];
        for (int i = 0; i < order.length; i++) at[order[i]] = i;
        Tensor all = Tensor.cat(0, pieces.stream().map(Piece::values).toArray(Tensor[]::new));
        return Arrays.equals(order, at) && IntStream.range(1, at.length).allMatch(i -> at[i] > at[i - 1]) ? all
                : all.gather(Tensor.of(at, at.length));
    }
}
