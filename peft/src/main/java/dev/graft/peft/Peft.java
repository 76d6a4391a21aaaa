package dev.graft.peft;

import dev.graft.models.CausalLm;
import dev.graft.models.Conversation;
import dev.graft.models.Conversation.Turns;
import dev.graft.models.Inputs;
import dev.graft.nn.Embedding;
import dev.graft.nn.Layer;
import dev.graft.nn.LayerHook;
import dev.graft.nn.Linear;
import dev.graft.nn.Module;
import dev.graft.nn.Parameter;
import dev.graft.nn.Weight;
import dev.graft.peft.method.AdapterFusion;
import dev.graft.peft.train.Step;
import dev.graft.peft.train.Trainee;
import dev.graft.tensor.DType;
import dev.graft.tensor.Scope;
import dev.graft.tensor.Tensor;
import dev.graft.tensor.backend.Backend;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.SequencedMap;
import java.util.Set;
import java.util.function.Supplier;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/// The adapters on a model: attached, used, switched, merged, saved.
///
/// ```java
/// try (Peft peft = Peft.attach(model, Lora.of(8, 16, "q_proj", "v_proj"))) {
///     new Trainer(config, new CausalLoss(model), peft).fit(train, validation);
///     peft.save(folder);
/// }
/// ```
/// The model is frozen while this is open. Its names, its code and its weights stay as they are; [#close] gives it back as it was.
public final class Peft implements Trainee, AutoCloseable {
    /// The name of an adapter that is given none.
    public static final String DEFAULT = "default";

    private final Module model;
    private final List<Parameter> wereTrainable;
    private final SequencedMap<String, Graft> grafts = new LinkedHashMap<>();
    private final SequencedMap<String, Double> used = new LinkedHashMap<>();
    private final List<Hook> hooks = new ArrayList<>();
    private final Originals copied = new Originals();
    private final Originals merged = new Originals();
    private boolean enabled = true;
    private boolean isMerged;
    private boolean prompted; // whether the model's virtual tokens are an adapter's
    private boolean closed;

    private record Hook(Layer layer, LayerHook hook) {
    }

    private Peft(Module model) {
        this.model = model;
        this.wereTrainable = model.parameters().filter(Parameter::isTrainable).toList();
        wereTrainable.forEach(p -> p.trainable(false));
    }

    /// A frozen model without adapters yet.
    public static Peft of(Module model) {
        return new Peft(model);
    }

    /// A model with a new adapter in use.
    public static Peft attach(Module model, Adapter adapter) {
        return attach(model, adapter, 0);
    }

    /// @param seed of the adapter's first values
    public static Peft attach(Module model, Adapter adapter, long seed) {
        Peft peft = new Peft(model);
        try {
            peft.add(DEFAULT, adapter, seed);
            return peft;
        } catch (Throwable t) {
            peft.close();
            throw t;
        }
    }

    /// A model with a saved adapter in use, from a folder of PEFT or LLM-Adapters. Every tensor must find its parameter and every parameter its
    /// tensor.
    ///
    /// @param others adapters of your own, which [Adapters] does not list, with the defaults their files start from
    public static Peft load(Module model, Path folder, Adapter... others) {
        Peft peft = new Peft(model);
        try {
            peft.add(DEFAULT, folder, others);
            return peft;
        } catch (Throwable t) {
            peft.close();
            throw t;
        }
    }

    // ---- adapters ----

    /// Attaches a new adapter. The first one is in use at once, others when [#use] says so.
    public Graft add(String name, Adapter adapter, long seed) {
        Graft graft = new Graft(model, requireNew(name), adapter, true, grafts);
        return keep(graft, () -> graft.grow(seed));
    }

    /// Attaches a saved adapter, which must fit without remainder. What it makes use of and is not attached is taken from folders of their names below.
    public Graft add(String name, Path folder, Adapter... others) {
        AdapterFolder saved = AdapterFolder.open(folder, List.of(others));
        boolean first = grafts.isEmpty();
        addParts(saved.adapter(), folder, others);
        Graft graft = new Graft(model, requireNew(name), saved.adapter(), false, grafts);
        keep(graft, () -> {
            graft.grow(0);
            saved.fill(graft, model, true);
        });
        if (first) use(name);
        return graft;
    }

    /// What an adapter makes use of, where it lies below.
    private void addParts(Adapter adapter, Path folder, Adapter... others) {
        for (String part : adapter.uses()) {
            Path own = folder.resolve(part);
            if (!Files.isDirectory(own)) continue;
            if (!grafts.containsKey(part)) add(part, own, others);
            else
                if (!AdapterFolder.open(own, List.of(others)).holds(grafts.get(part)))
                    throw new AdapterException(
                            "%s was made with the '%s' below it, and another adapter of that name is attached; give that one another name"
                                    .formatted(folder, part));
        }
    }

    /// Attaches a saved adapter as far as it fits, and says what did not.
    public Loading addLeniently(String name, Path folder, Adapter... others) {
        AdapterFolder saved = AdapterFolder.open(folder, List.of(others));
        addParts(saved.adapter(), folder, others);
        Graft graft = new Graft(model, requireNew(name), saved.adapter(), false, grafts);
        Loading[] loading = new Loading[1];
        keep(graft, () -> {
            graft.grow(0);
            loading[0] = saved.fill(graft, model, false);
        });
        return loading[0];
    }

    /// Attaches an [AdapterFusion] of adapters that are attached already, at every layer that all of them surround, and uses it alone. They are frozen.
    public Graft fuse(String name, List<String> adapters, long seed) {
        Set<String> places = new LinkedHashSet<>(model.modules(Layer.class).map(Layer::path).toList());
        adapters.forEach(part -> places.retainAll(adapter(part).surrounded()));
        if (places.isEmpty()) throw new AdapterException("there is no layer that all of %s surround".formatted(adapters));
        Graft fusion = add(name, AdapterFusion.DEFAULT.with("adapters", adapters).with("target_modules", List.copyOf(places)), seed);
        use(name);
        return fusion;
    }

    private String requireNew(String name) {
        requireUnmerged("add an adapter");
        if (grafts.containsKey(name))
            throw new AdapterException("there is an adapter '%s' already; detach it first or take another name".formatted(name));
        if (name.isEmpty() || name.contains(".") || name.contains("/"))
            throw new AdapterException("'" + name + "' is not a name for an adapter");
        return name;
    }

    private Graft keep(Graft graft, Runnable fill) {
        takeOff(); // an adapter starts from the model's own values, not from those that another lets stand in for them
        try (var _ = onModel()) {
            fill.run();
            grafts.put(graft.name(), graft);
            for (String part : graft.composed()) {
                if (grafts.get(part).isFrozen()) continue;
                grafts.get(part).frozen(true);
                graft.froze(part);
            }
            if (grafts.size() == 1) used.put(graft.name(), 1.0);
            return graft;
        } catch (Throwable t) {
            graft.close();
            throw t;
        } finally {
            putOn();
        }
    }

    /// The attached adapters by name, in the order they came.
    public SequencedMap<String, Graft> adapters() {
        return Collections.unmodifiableSequencedMap(grafts);
    }

    public Graft adapter(String name) {
        Graft graft = grafts.get(name);
        if (graft == null) throw new AdapterException("no adapter '%s'; there are %s".formatted(name, grafts.keySet()));
        return graft;
    }

    /// Takes an adapter away and frees its memory.
    public void detach(String name) {
        requireUnmerged("detach an adapter");
        Graft graft = adapter(name);
        grafts.values().stream().filter(g -> g.composed().contains(name)).findFirst().ifPresent(g -> {
            throw new AdapterException("'%s' makes use of '%s'; detach that one first".formatted(g.name(), name));
        });
        takeOff();
        used.remove(name);
        grafts.remove(name);
        for (String part : graft.frozenParts())
            grafts.values().stream().filter(g -> g.composed().contains(part)).findFirst()
                    .ifPresentOrElse(heir -> heir.froze(part), () -> grafts.get(part).frozen(false));
        graft.close();
        putOn();
    }

    // ---- use ----

    /// Uses these adapters together, each at weight 1, and no others.
    public void use(String... names) {
        SequencedMap<String, Double> weights = new LinkedHashMap<>();
        for (String name : names) weights.put(name, 1.0);
        use(weights);
    }

    /// Uses these adapters together, and no others. An adapter at weight w goes the share w of the way from the layer's output without it to that
    /// with it; for one that adds to the output, like LoRA, its addition is multiplied. They act in the order in which they were added.
    public void use(Map<String, Double> weights) {
        use(weights, grafts.keySet());
    }

    /// Uses these adapters, and no others, in this order rather than that in which they were added: each has those before it as part of its layer. The order says nothing among adapters
    /// that only add to the output, like LoRA, since all of them read what goes into the layer.
    public void stack(String... names) {
        SequencedMap<String, Double> weights = new LinkedHashMap<>();
        for (String name : names)
            if (weights.put(name, 1.0) != null) throw new AdapterException("'" + name + "' can be in a stack only once");
        use(weights, weights.keySet());
    }

    private void use(Map<String, Double> weights, Iterable<String> order) {
        requireUnmerged("switch adapters");
        weights.keySet().forEach(this::adapter);
        requireDisjoint(weights);
        takeOff();
        used.clear();
        for (String name : order) if (weights.containsKey(name)) used.put(name, weights.get(name));
        putOn();
    }

    private void requireDisjoint(Map<String, Double> weights) {
        List<String> prompts = weights.keySet().stream().filter(name -> adapter(name).virtualTokens() != null).toList();
        if (prompts.size() > 1)
            throw new AdapterException(
                    "%s put virtual tokens before the sequence, of which a model has room for one kind; use one at a time"
                            .formatted(prompts));
        for (String name : prompts) {
            if (weights.get(name) != 1)
                throw new AdapterException(
                        "'%s' puts virtual tokens before the sequence, which are there or not, so it can only be used at weight 1, got %s"
                                .formatted(
                                        name, weights.get(name)));
        }
        Map<Parameter, String> replaced = new LinkedHashMap<>();
        weights.forEach((name, weight) -> adapter(name).copies().keySet().forEach(p -> {
            String other = replaced.put(p, name);
            if (other != null)
                throw new AdapterException("'%s' and '%s' both replace '%s'; use one at a time".formatted(other, name, p.name()));
            if (weight != 1)
                throw new AdapterException(
                        "'%s' replaces '%s', so it can only be used at weight 1, got %s".formatted(name, p.name(), weight));
        }));
    }

    /// The adapters in use and their weights.
    public SequencedMap<String, Double> used() {
        return Collections.unmodifiableSequencedMap(used);
    }

    /// Switches all adapters off and on again: while off, the model computes what it computed before any was attached.
    public void enabled(boolean enabled) {
        if (this.enabled == enabled) return;
        requireUnmerged("switch adapters");
        takeOff();
        this.enabled = enabled;
        putOn();
    }

    public boolean isEnabled() {
        return enabled;
    }

    /// What training changes: the parameters of the adapters in use that are not frozen.
    @Override
    public List<Parameter> parameters() {
        return trained().flatMap(graft -> graft.parameters().stream()).distinct().toList();
    }

    @Override
    public boolean looksAhead() {
        return used.keySet().stream().anyMatch(name -> adapter(name).adapter().looksAhead());
    }

    @Override
    public List<Parameter> structure() {
        return trained().flatMap(graft -> graft.structure().stream()).toList();
    }

    @Override
    public double structureLearningRate() {
        return trained().mapToDouble(graft -> graft.adapter().structureLearningRate()).max()
                .orElseGet(Trainee.super::structureLearningRate);
    }

    @Override
    public List<Parameter> state() {
        return trained().flatMap(graft -> graft.states().stream()).toList();
    }

    @Override
    public void begin(long steps) {
        trained().forEach(graft -> graft.begin(steps));
    }

    @Override
    public Tensor penalty() {
        return trained().flatMap(graft -> graft.penalties().stream()).map(Supplier::get).reduce(Tensor::add).orElse(null);
    }

    @Override
    public void after(Step step) {
        try (var _ = Scope.untracked()) {
            trained().forEach(graft -> graft.after(step));
        }
    }

    private Stream<Graft> trained() {
        return used.keySet().stream().map(this::adapter).filter(graft -> !graft.isFrozen());
    }

    /// Whether training leaves an adapter as it is, though it may be in use.
    public void frozen(String name, boolean frozen) {
        Graft graft = adapter(name);
        boolean merged = isMerged;
        if (!merged) takeOff();
        graft.frozen(frozen);
        if (!merged) putOn();
    }

    public Counts counts() {
        long base = model.parameters().mapToLong(p -> p.shape().size()).sum();
        long added = grafts.values().stream().mapToLong(Graft::count).sum();
        return new Counts(parameters().stream().mapToLong(p -> p.shape().size()).sum(), base + added);
    }

    /// Surrounds layers by the adapters in use, and lets trained copies stand in for the model's parameters.
    private void putOn() {
        if (!enabled) return;
        used.forEach((name, weight) -> {
            Graft graft = grafts.get(name);
            for (Site site : graft.sites()) {
                LayerHook hook = site.hook(weight);
                if (hook == null) continue;
                site.layer().attach(hook);
                hooks.add(new Hook(site.layer(), hook));
            }
            try (var _ = onModel()) {
                graft.copies().forEach((base, copy) -> {
                    copied.remember(base);
                    Tensor shown = copy.value().detach(); // the same memory, so that training the copy is seen here
                    base.fill(shown);
                    shown.leaf(copy.leaf());
                });
            }
            if (graft.virtualTokens() != null) {
                ((CausalLm) model).virtualTokens(graft.virtualTokens());
                prompted = true;
            }
        });
    }

    private void takeOff() {
        hooks.forEach(h -> h.layer.detach(h.hook));
        hooks.clear();
        copied.putBack();
        if (prompted) ((CausalLm) model).virtualTokens(null);
        prompted = false;
    }

    /// What an adapter in use multiplies the model's numbers by for each of these prompts, such as PEDRO's vectors; the model is run with all that are in use.
    public List<Scales> scales(String name, Inputs prompts) {
        requireUnmerged("see what they scale");
        Graft graft = adapter(name);
        if (!used.containsKey(name) || !enabled) throw new AdapterException("'%s' is not in use".formatted(name));
        if (!(model instanceof CausalLm lm)) throw new AdapterException("only a CausalLm reads prompts");
        return Scales.of(lm, graft, prompts);
    }

    /// A conversation with the model and the adapters in use. Where they differ in what a further turn does, all is read again if one of them wants it so.
    public Conversation conversation() {
        if (!(model instanceof CausalLm lm)) throw new AdapterException("only a CausalLm can be talked with");
        Set<Turns> wanted = enabled && !isMerged
                ? used.keySet().stream().map(name -> adapter(name).adapter().turns()).collect(Collectors.toSet()) : Set.of();
        return new Conversation(lm,
                wanted.contains(Turns.REPREFILL) ? Turns.REPREFILL : wanted.contains(Turns.MIXED) ? Turns.MIXED : Turns.FIXED);
    }

    // ---- merging ----

    /// Folds the adapters in use into the weights, which then compute what the adapted layers did, at the base model's cost. Refuses before it
    /// changes anything when one of them has no such form.
    public MergeReport merge() {
        return merge(Merge.EXACT);
    }

    public MergeReport merge(Merge quantised) {
        requireUnmerged("merge again");
        if (!enabled) throw new AdapterException("the adapters are switched off; enable them before merging");
        used.keySet().stream().filter(name -> adapter(name).virtualTokens() != null).findFirst().ifPresent(name -> {
            throw new AdapterException("'%s' cannot be merged: its virtual tokens stand before the sequence, in no weight".formatted(name));
        });
        SequencedMap<Layer, List<Fold>> folds = new LinkedHashMap<>();
        used.forEach((name, weight) -> grafts.get(name).sites().stream().filter(Site::surrounds)
                .forEach(site -> folds.computeIfAbsent(site.layer(),
                        _ -> new ArrayList<>()).add(new Fold(name, site, weight))));
        folds.forEach((layer, list) -> requireFoldable(layer, list, quantised));
        List<MergeReport.Change> changes = new ArrayList<>();
        hooks.forEach(h -> h.layer.detach(h.hook));
        hooks.clear();
        isMerged = true;
        try (var _ = onModel()) {
            folds.forEach((layer, list) -> {
                try (var _ = Scope.untracked()) {
                    merge(layer, list, quantised, changes);
                }
            });
        } catch (Throwable t) {
            unmerge();
            throw t;
        }
        return new MergeReport(List.copyOf(changes));
    }

    private record Fold(String adapter, Site site, double weight) {
    }

    private void requireFoldable(Layer layer, List<Fold> folds, Merge quantised) {
        for (Fold fold : folds) {
            String reason = fold.site.whyNotFolded();
            if (reason == null && !(layer instanceof Linear || layer instanceof Embedding))
                reason = "it is neither a linear layer nor an embedding";
            if (reason == null && Graft.isTied(layer, model)) reason = "its weight is tied to another layer's, which would change with it";
            if (reason == null && quantised == Merge.EXACT && layer.parameters().anyMatch(p -> p.weight().isQuantised())) {
                reason = "its weight is stored as %s, where the change would be rounded away in part; merge with DEQUANTISE or REQUANTISE"
                        .formatted(Graft.weight(layer).weight().format());
            }
            if (reason != null)
                throw new AdapterException("'%s' on '%s' cannot be merged: %s".formatted(fold.adapter, fold.site.path(), reason));
        }
    }

    private void merge(Layer layer, List<Fold> folds, Merge quantised, List<MergeReport.Change> changes) {
        Parameter weight = layer instanceof Linear l ? l.weight() : ((Embedding) layer).weight();
        Parameter bias = layer instanceof Linear l ? l.bias() : null;
        Plain plain = new Plain(wide(weight), bias == null ? null : wide(bias));
        Plain before = plain;
        for (Fold fold : folds) plain = fold.site.fold(plain, fold.weight);
        if (bias == null && plain.bias() != null) {
            throw new AdapterException("'%s' cannot be merged: the adapter adds a bias and the layer has none".formatted(layer.path()));
        }
        if (plain.weight() != before.weight()) changes.add(replace(weight, before.weight(), plain.weight(), quantised));
        if (bias != null && plain.bias() != before.bias()) changes.add(replace(bias, before.bias(), plain.bias(), quantised));
    }

    private MergeReport.Change replace(Parameter p, Tensor before, Tensor after, Merge quantised) {
        Weight stored = switch (p.weight()) {
            case Weight.Dense(Tensor value) -> new Weight.Dense(after.to(value.dtype()).contiguous());
            case Weight _ when quantised != Merge.REQUANTISE -> new Weight.Dense(after.contiguous());
            case Weight.Q8 _ -> Weight.Q8.of(after);
            case Weight.Nf4 nf4 -> Weight.Nf4.of(after, nf4.isNested());
        };
        double largest = largest(after.sub(before));
        double rounding = largest(stored.dense().to(after.dtype()).sub(after));
        merged.remember(p);
        p.fill(stored);
        return new MergeReport.Change(p.name(), largest, rounding);
    }

    private static Tensor wide(Parameter p) {
        Tensor value = p.weight().dense();
        return value.dtype() == DType.F64 ? value : value.to(DType.F32);
    }

    private static double largest(Tensor t) {
        return t.abs().max().item();
    }

    public boolean isMerged() {
        return isMerged;
    }

    /// Puts the weights back that merging replaced: the very same ones, not a difference of roundings.
    public void unmerge() {
        if (!isMerged) return;
        merged.putBack();
        isMerged = false;
        takeOff();
        putOn();
    }

    /// Merges and closes, leaving the merged weights in the model: the way to a checkpoint that needs no adapter.
    public MergeReport mergeAndClose(Merge quantised) {
        MergeReport report = merge(quantised);
        try (var _ = onModel()) {
            for (String name : used.keySet()) {
                grafts.get(name).copies().forEach((base, copy) -> {
                    try (var _ = Scope.untracked()) {
                        base.fill(copy.value().to(copied.dtype(base)).copy());
                    }
                });
            }
        }
        merged.forget();
        copied.forget();
        isMerged = false;
        close();
        return report;
    }

    private void requireUnmerged(String what) {
        if (closed) throw new AdapterException("this Peft is closed");
        if (isMerged)
            throw new AdapterException(
                    "the adapters %s are merged into the weights; unmerge() before you %s".formatted(used.keySet(), what));
    }

    // ---- files ----

    /// Saves every adapter as PEFT does: `default` into the folder itself, others into a folder of their name below.
    public void save(Path folder) {
        save(folder, null);
    }

    /// @param baseModel name or path of the base model, for `base_model_name_or_path`
    public void save(Path folder, String baseModel) {
        try (var _ = onModel()) {
            grafts.forEach((name, graft) -> AdapterFolder.write(name.equals(DEFAULT) ? folder : folder.resolve(name), graft, baseModel));
        }
    }

    /// Detaches all adapters, frees their memory and gives the model back as it was.
    @Override
    public void close() {
        if (closed) return;
        merged.putBack();
        isMerged = false;
        takeOff();
        grafts.values().forEach(Graft::close);
        grafts.clear();
        used.clear();
        wereTrainable.forEach(p -> p.trainable(true));
        copied.forget();
        merged.forget();
        closed = true;
    }

    /// A scope in which new tensors are made where the model's are, unrecorded.
    private Scope onModel() {
        return model.parameters().filter(Parameter::isFilled).findFirst().flatMap(p -> p.weight().tensors().findFirst())
                .map(Tensor::backend)
                .map(Scope::open).orElseGet(Scope::untracked);
    }

    @Override
    public String toString() {
        return grafts.values().stream().map(g -> g + (used.containsKey(g.name()) ? "" : " (not in use)")).collect(Collectors.joining("\n"));
    }
}
