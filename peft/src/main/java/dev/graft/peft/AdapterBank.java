package dev.graft.peft;

import dev.graft.models.CausalLm;
import dev.graft.models.CausalSession;
import dev.graft.models.VirtualTokens;
import dev.graft.models.generate.Session;
import dev.graft.models.generate.StepModel;
import dev.graft.nn.Layer;
import dev.graft.nn.LayerHook;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.IdentityHashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SequencedMap;
import java.util.stream.Collectors;

/// Many adapters over one frozen model, each row of a batch with its own: of any types and sizes, or none.
///
/// ```java
/// try (AdapterBank bank = new AdapterBank(model, 2L << 30)) {
///     bank.register("anna", folderOfLora);
///     bank.register("ben", folderOfPrefix);
///     List<Generation> texts = new Generator(bank.with("anna", "ben", null), tokenizer, config).generate(threePrompts);
/// }
/// ```
/// Adapters are read when they are first asked for. When all together take more than the budget, those that were used least recently and that no row has are let go; they are read again when they
/// are asked for again. A session holds on to the adapters of its rows. For one thread at a time.
public final class AdapterBank implements AutoCloseable {
    private final CausalLm model;
    private final long budget;
    private final Peft peft;
    private final List<Adapter> others;
    private final Map<String, Path> folders = new LinkedHashMap<>();
    private final SequencedMap<String, Loaded> loaded = new LinkedHashMap<>();   // the least recently used first
    private final Map<Layer, LayerHook> hooks = new IdentityHashMap<>();
    private final PromptCache prompts = new PromptCache();
    private final Map<String, Long> sizes = new HashMap<>();                     // of those that were read once, in bytes
    private int loads;
    private boolean closed;

    private static final class Loaded {
        final Graft graft;
        final RowAdapters.Grafted grafted;
        final long bytes;
        int rows;                                                                // that have it now

        Loaded(Graft graft, CausalLm model) {
            this.graft = graft;
            this.grafted = RowAdapters.Grafted.of(graft, model);
            this.bytes = graft.bytes();
        }
    }

    /// There is no room for an adapter beside those that rows have.
    public static final class Full extends AdapterException {
        private static final long serialVersionUID = 1;

        Full(String message) {
            super(message);
        }
    }

    /// What a bank holds.
    ///
    /// @param bytes taken by the adapters in memory
    /// @param inUse those that rows have
    /// @param loads how often an adapter was read
    public record Stats(List<String> inMemory, List<String> inUse, long bytes, long budget, int loads) {
    }

    /// What a bank has kept of prompts, and what that was good for.
    ///
    /// @param kept how many prompts
    /// @param bytes taken by their keys and values
    /// @param same how often a prompt was there as a whole
    /// @param begun how often the beginning of one was
    /// @param spared tokens that were not read for that
    public record Prompts(int kept, long bytes, long budget, int same, int begun, long spared) {
    }

    /// @param budget most bytes of memory for adapters
    /// @param others adapters of your own, which [Adapters] does not list, with the defaults their files start from
    public AdapterBank(CausalLm model, long budget, Adapter... others) {
        if (budget <= 0) throw new AdapterException("a bank's budget must be above 0 bytes, got " + budget);
        this.model = model;
        this.budget = budget;
        this.others = List.of(others);
        peft = Peft.of(model);
    }

    // ---- adapters ----

    /// Makes a saved adapter known under a name. Its config is read at once, its tensors when they are asked for.
    public void register(String name, Path folder) {
        if (folders.containsKey(name)) throw new AdapterException("there is an adapter '%s' in the bank already".formatted(name));
        Adapter adapter = AdapterFolder.open(folder, others).adapter();
        if (!adapter.uses().isEmpty())
            throw new AdapterException(
                    "'%s' is made of other adapters, %s, and a bank holds such as stand alone; register those".formatted(name,
                            adapter.uses()));
        folders.put(name, folder);
    }

    /// Reads an adapter now rather than when it is first asked for.
    public void load(String name) {
        require(name);
    }

    /// Lets an adapter's memory go; it stays known. Throws while a row has it.
    public void unload(String name) {
        known(name);
        Loaded held = loaded.get(name);
        if (held == null) return;
        if (held.rows > 0) throw new AdapterException("'%s' is in use by %d rows; end their sessions first".formatted(name, held.rows));
        loaded.remove(name);
        prompts.forget(held.graft);
        peft.detach(held.graft.name());
    }

    /// Forgets an adapter. Throws while a row has it.
    public void remove(String name) {
        unload(name);
        folders.remove(name);
        sizes.remove(name);
    }

    /// The names of all that are known.
    public List<String> names() {
        return List.copyOf(folders.keySet());
    }

    public Stats stats() {
        return new Stats(List.copyOf(loaded.keySet()),
                loaded.entrySet().stream().filter(e -> e.getValue().rows > 0).map(Map.Entry::getKey).toList(), bytes(), budget, loads);
    }

    /// Keeps what was read of prompts, so that the same prompt under the same adapter is not read again, and of one that begins like it, in at least half of it, only the rest. With adapters
    /// that make something of the whole prompt it must be the same as a whole; PEDRO's `pooled_tokens` says of how much. Those used least recently go when there is no room.
    ///
    /// @param most bytes for keys and values; 0, as it is at first, keeps nothing
    public void keepPrompts(long most) {
        if (most < 0) throw new AdapterException("room for prompts must be at least 0 bytes, got " + most);
        prompts.budget(most);
    }

    public Prompts prompts() {
        return prompts.stats();
    }

    private long bytes() {
        return loaded.values().stream().mapToLong(l -> l.bytes).sum();
    }

    private Path known(String name) {
        Path folder = folders.get(name);
        if (folder == null) throw new AdapterException("there is no adapter '%s' in the bank; there are %s".formatted(name, names()));
        return folder;
    }

    /// The adapter, in memory and the last to go.
    private Loaded require(String name) {
        if (closed) throw new AdapterException("the bank is closed");
        Path folder = known(name);
        Loaded held = loaded.remove(name);
        if (held == null) {
            if (sizes.containsKey(name)) makeRoom(name, sizes.get(name));        // before it is read
            Graft graft = peft.add("a" + loads++, folder, others.toArray(Adapter[]::new));
            peft.use();                                                          // rows say which they have
            try {
                held = new Loaded(graft, model);
                sizes.put(name, held.bytes);
                makeRoom(name, held.bytes);
                held.grafted.parts().forEach(LayerRows::requireShareable);
            } catch (RuntimeException e) {
                peft.detach(graft.name());
                throw e;
            }
            held.grafted.parts().keySet().forEach(layer -> hooks.computeIfAbsent(layer, l -> {
                LayerHook hook = RowAdapters.hook(l);
                l.attach(hook);
                return hook;
            }));
        }
        loaded.putLast(name, held);
        return held;
    }

    /// Lets adapters go that no row has, unless all of them together would not do.
    private void makeRoom(String name, long wanted) {
        long inUse = loaded.values().stream().filter(l -> l.rows > 0).mapToLong(l -> l.bytes).sum();
        if (inUse + wanted > budget) {
            List<String> users = loaded.entrySet().stream().filter(e -> e.getValue().rows > 0).map(Map.Entry::getKey).toList();
            throw new Full(users.isEmpty()
                    ? "'%s' takes %,d bytes, more than the bank's budget of %,d; give the bank more".formatted(name, wanted, budget)
                    : "'%s' takes %,d bytes, which does not fit: of the bank's budget of %,d, %,d are taken by adapters that rows have (%s); end some of them, or give the bank more"
                            .formatted(name, wanted, budget, inUse, String.join(", ", users)));
        }
        for (String old : List.copyOf(loaded.keySet())) {
            if (bytes() + wanted <= budget) return;
            if (loaded.get(old).rows == 0) unload(old);
        }
    }

    // ---- rows ----

    /// The model with these adapters, one per prompt in their order; null for a prompt without.
    public StepModel with(String... adapters) {
        return with(Arrays.asList(adapters));
    }

    /// The same for a list.
    public StepModel with(List<String> adapters) {
        return new StepModel() {
            @Override
            public Session open(List<int[]> prompts, int maxNewTokens) {
                return AdapterBank.this.open(prompts, adapters, maxNewTokens);
            }

            @Override
            public int maxPositions() {
                return model.maxPositions();
            }
        };
    }

    /// Reads prompts, each with its adapter, and gets ready to continue them.
    ///
    /// @param adapters one per prompt; null for a prompt without
    public Rows open(List<int[]> prompts, List<String> adapters, int maxNewTokens) {
        Rows rows = new Rows();
        try {
            rows.join(prompts, adapters, maxNewTokens);
            return rows;
        } catch (Throwable t) {
            rows.close();
            throw t;
        }
    }

    /// Rows under way, each with its adapter.
    public final class Rows implements Session {
        private List<Loaded> adapters = List.of();                               // of each row; null for none
        private CausalSession session;
        private RowAdapters batch = new RowAdapters(List.of());
        private List<RowAdapters.Grafted> placed = List.of();                    // the adapter at each place of the batch

        private Rows() {
        }

        /// Reads more prompts, whose rows come after those that are there. When this throws, nothing has changed.
        public void join(List<int[]> prompts, List<String> names, int maxNewTokens) {
            if (closed) throw new AdapterException("the bank is closed");
            if (prompts.isEmpty()) throw new AdapterException("there is no prompt");
            if (prompts.size() != names.size())
                throw new AdapterException("%d prompts need as many adapters, or null, got %d".formatted(prompts.size(), names.size()));
            List<Loaded> wanted = new ArrayList<>();
            CausalSession read = null;
            try {
                for (String name : names) {
                    Loaded one = name == null ? null : require(name);
                    if (one != null) one.rows++;                                 // at once: the next must not push it out
                    wanted.add(one);
                }
                read = read(prompts, wanted, maxNewTokens);
                if (session == null) session = read;
                else session.join(List.of(read));
            } catch (Throwable t) {
                if (read != null) read.close();
                release(wanted);
                throw t;
            }
            List<Loaded> all = new ArrayList<>(adapters);
            all.addAll(wanted);
            become(all);
        }

        /// Those that are kept are copied. Of the others, those with virtual tokens are read adapter by adapter, since a model has room for one kind; all others together.
        private CausalSession read(List<int[]> texts, List<Loaded> wanted, int maxNewTokens) {
            Map<Object, List<Integer>> groups = new LinkedHashMap<>();
            List<Integer> order = new ArrayList<>();
            List<CausalSession> parts = new ArrayList<>();
            try {
                for (int i = 0; i < texts.size(); i++) {
                    Loaded own = wanted.get(i);
                    CausalSession kept = kept(own, texts.get(i), maxNewTokens);
                    if (kept == null) {
                        boolean apart = own != null && own.graft.virtualTokens() != null;
                        groups.computeIfAbsent(apart ? own : this, _ -> new ArrayList<>()).add(i);
                    } else {
                        parts.add(kept);
                        order.add(i);
                    }
                }
                for (List<Integer> group : groups.values()) {
                    Graft first = graft(wanted.get(group.getFirst()));
                    List<RowAdapters.Grafted> grafted = group.stream().map(i -> grafted(wanted.get(i))).collect(Collectors.toList());
                    CausalSession part = read(group.stream().map(texts::get).toList(), grafted,
                            first == null ? null : first.virtualTokens(),
                            maxNewTokens);
                    parts.add(part);
                    order.addAll(group);
                    for (int b = 0; b < group.size(); b++) prompts.keep(graft(wanted.get(group.get(b))), texts.get(group.get(b)), part, b);
                }
                int[] at = new int[order.size()];
                for (int i = 0; i < at.length; i++) at[order.get(i)] = i;
                CausalSession all = parts.getFirst();
                all.join(parts.subList(1, parts.size()));
                all.reorder(at);
                return all;
            } catch (Throwable t) {
                parts.forEach(CausalSession::close);
                throw t;
            }
        }

        /// What is kept of a prompt, with the rest of it read; null when nothing is.
        private CausalSession kept(Loaded own, int[] text, int maxNewTokens) {
            RowAdapters reading = own == null ? RowAdapters.NONE : own.grafted.alone();
            return ScopedValue.where(RowAdapters.CURRENT, reading).call(() -> prompts.find(graft(own), text, maxNewTokens));
        }

        private CausalSession read(List<int[]> prompts, List<RowAdapters.Grafted> grafts, VirtualTokens tokens, int maxNewTokens) {
            if (tokens != null) model.virtualTokens(tokens);
            try (RowAdapters reading = new RowAdapters(grafts)) {
                return ScopedValue.where(RowAdapters.CURRENT, reading).call(() -> {
                    CausalSession part = model.open(prompts, maxNewTokens);
                    part.settle();
                    return part;
                });
            } finally {
                if (tokens != null) model.virtualTokens(null);
            }
        }

        @Override
        public float[][] logits() {
            return session.logits();
        }

        @Override
        public void advance(int[] ids) {
            if (closed) throw new AdapterException("the bank is closed, and its adapters with it");
            ScopedValue.where(RowAdapters.CURRENT, batch).run(() -> session.advance(ids));
        }

        @Override
        public void reorder(int[] rows) {
            int[] before = session.places();
            session.reorder(rows);
            List<Loaded> picked = Arrays.stream(rows).mapToObj(adapters::get).collect(Collectors.toList());
            picked.forEach(l -> {
                if (l != null) l.rows++;
            });
            release(adapters);
            become(picked);
            int[] after = session.places(), from = new int[rows.length];
            for (int i = 0; i < rows.length; i++) from[after[i]] = before[rows[i]];
            batch.move(from);
        }

        /// How many rows there are.
        public int size() {
            return adapters.size();
        }

        /// Bytes of memory taken by keys and values.
        public long bytes() {
            return session == null ? 0 : session.bytes();
        }

        private void become(List<Loaded> rows) {
            adapters = rows;
            int[] places = session.places();
            RowAdapters.Grafted[] now = new RowAdapters.Grafted[places.length];
            for (int i = 0; i < places.length; i++) now[places[i]] = grafted(rows.get(i));
            if (Arrays.asList(now).equals(placed)) return;
            placed = Arrays.asList(now);
            batch.close();
            batch = new RowAdapters(placed);
        }

        private static void release(List<Loaded> rows) {
            rows.forEach(l -> {
                if (l != null) l.rows--;
            });
        }

        @Override
        public void close() {
            release(adapters);
            adapters = List.of();
            batch.close();
            if (session != null) session.close();
        }
    }

    private static Graft graft(Loaded l) {
        return l == null ? null : l.graft;
    }

    private static RowAdapters.Grafted grafted(Loaded l) {
        return l == null ? null : l.grafted;
    }

    /// Takes all adapters off the model and frees their memory. Sessions end with it.
    @Override
    public void close() {
        closed = true;
        hooks.forEach(Layer::detach);
        hooks.clear();
        loaded.clear();
        prompts.close();
        peft.close();
    }
}
