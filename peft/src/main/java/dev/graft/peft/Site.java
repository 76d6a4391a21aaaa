package dev.graft.peft;

import dev.graft.models.ModelConfig;
import dev.graft.models.SelfAttention;
import dev.graft.nn.Init;
import dev.graft.nn.Layer;
import dev.graft.nn.LayerHook;
import dev.graft.nn.Parameter;
import dev.graft.tensor.DType;
import dev.graft.tensor.Scope;
import dev.graft.tensor.Shape;
import dev.graft.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;
import java.util.function.BinaryOperator;
import java.util.function.Supplier;
import java.util.function.UnaryOperator;

/// One layer with what an adapter has put around it.
final class Site implements Attach {
    private final Graft graft;
    private final Layer layer;
    private final String path;
    private final List<Part> parts = new ArrayList<>();
    private UnaryOperator<Plain> fold;
    private final Site outer;
    private String whyNot;

    Site(Graft graft, Layer layer) {
        this.graft = graft;
        this.layer = layer;
        this.path = layer.path();
        this.outer = null;
    }

    /// A layer inside another, at whose place it is.
    private Site(Site outer, Layer layer) {
        this.graft = outer.graft;
        this.layer = layer;
        this.path = outer.path;
        this.outer = outer;
    }

    /// What the adapter does here, innermost first.
    List<Part> parts() {
        return parts;
    }

    Layer layer() {
        return layer;
    }

    /// Whether this puts anything around the layer.
    boolean surrounds() {
        return !parts.isEmpty();
    }

    /// What goes around the layer, the first part innermost; null when the adapter leaves the layer as it is.
    ///
    /// ```
    /// y = layer(x) + weight · (adapted(x) − layer(x))
    /// ```
    /// What only adds costs the same at any weight; what surrounds runs the layer twice unless the weight is 1.
    LayerHook hook(double weight) {
        if (!surrounds()) return null;
        boolean additive = parts.stream()
                .allMatch(p -> p instanceof Part.Adding || p instanceof Part.OfPrompts);
        LayerHook whole = hook(parts, additive ? weight : 1);
        if (additive || weight == 1) return whole;
        return (x, next) -> Scope.result(() -> {
            for (Part p : parts) if (p instanceof Part.OfPrompts) p.before(x);       // parts inside ask for it in either run
            Tensor y = next.apply(x);
            return y.add(whole.around(x, next).sub(y).mul(weight));
        });
    }

    static LayerHook hook(List<Part> parts, double weight) {
        return parts.stream().map(p -> p.hook(weight)).reduce((inner, outer) -> (x, next) -> outer.around(x, y -> inner.around(y, next)))
                .orElseThrow();
    }

    /// Why this cannot be merged, or null when it can.
    String whyNotFolded() {
        if (!surrounds() || fold != null) return null;
        if (whyNot != null) return whyNot;
        return outer != null ? outer.whyNotFolded() : "it does not say what plain layer it amounts to";
    }

    /// The plain layer this amounts to at a weight: `W + weight · (fold(W) − W)`, which is what the weighted hook computes.
    Plain fold(Plain plain, double weight) {
        if (fold == null) return plain;
        Plain full = fold.apply(plain);
        if (weight == 1) return full;
        Tensor bias = plain.bias() == null && full.bias() != null ? full.bias().mul(weight) : between(plain.bias(), full.bias(), weight);
        return new Plain(between(plain.weight(), full.weight(), weight), bias);
    }

    private static Tensor between(Tensor without, Tensor with, double weight) {
        return with == without ? with : without.add(with.sub(without).mul(weight));
    }

    @Override
    public String path() {
        return path;
    }

    @Override
    public Parameter param(String name, Shape shape, Init init) {
        return graft.param(path() + "." + name, shape, init, dtype());
    }

    @Override
    public Parameter structure(String name, Shape shape, Init init) {
        Parameter p = param(name, shape, init);
        graft.structure(p);
        return p;
    }

    @Override
    public Parameter shared(String name, Shape shape, Init init) {
        return graft.shared(name, shape, init, dtype());
    }

    @Override
    public Parameter constant(String name, Shape shape, Init init) {
        return graft.constant(path() + "." + name, shape, init, dtype());
    }

    @Override
    public Parameter sharedConstant(String name, Shape shape, Init init, boolean saved) {
        return graft.sharedConstant(name, shape, init, dtype(), saved);
    }

    @Override
    public Parameter state(String name, Shape shape, Init init) {
        return graft.state(path() + "." + name, shape, init, dtype());
    }

    @Override
    public void saves(String name, Supplier<Tensor> made) {
        graft.saves(AdapterFolder.PREFIX + path() + "." + name, made);
    }

    @Override
    public void penalty(Supplier<Tensor> penalty) {
        graft.penalty(penalty);
    }

    @Override
    public ModelConfig model() {
        return graft.model();
    }

    @Override
    public List<Layer> layers() {
        return graft.layers();
    }

    @Override
    public void train(Parameter existing) {
        graft.train(existing);
    }

    @Override
    public void train(Parameter existing, String name) {
        graft.train(existing, AdapterFolder.PREFIX + path() + "." + name);
    }

    @Override
    public void adds(UnaryOperator<Tensor> delta) {
        parts.add(new Part.Added(delta));
    }

    @Override
    public void addsThrough(UnaryOperator<Tensor> inner, Parameter b, double scale) {
        parts.add(new Part.Through(inner, b, scale));
    }

    @Override
    public void around(LayerHook hook) {
        parts.add(new Part.Around(hook));
    }

    @Override
    public void addsLowRank(Parameter a, Parameter b, double scale, double dropout) {
        parts.add(new Part.LowRank(a, b, scale, dropout));
    }

    @Override
    public void before(UnaryOperator<Tensor> change) {
        parts.add(new Part.Before(change));
    }

    @Override
    public void after(BinaryOperator<Tensor> change) {
        parts.add(new Part.After(change));
    }

    @Override
    public void scales(Supplier<Tensor> l) {
        parts.add(new Part.Scaled(l));
    }

    @Override
    public void scalesInput(Supplier<Tensor> l) {
        parts.add(new Part.ScaledInput(l));
    }

    @Override
    public Supplier<Tensor> ofPrompts(UnaryOperator<Tensor> made) {
        Part.OfPrompts part = new Part.OfPrompts(made);
        parts.add(part);
        return part;
    }

    @Override
    public Attach within(Layer inner) {
        Site site = new Site(this, inner);
        graft.inside(site);
        return site;
    }

    @Override
    public void addsToReading(UnaryOperator<Tensor> delta) {
        Attach reading = within(((SelfAttention) layer).reading());
        reading.adds(delta);
        reading.cannotFold("it adds to what queries read, which stands in no weight");
    }

    @Override
    public LayerHook attached(String name) {
        return graft.attached(name, layer);
    }

    @Override
    public void folds(UnaryOperator<Plain> folded) {
        UnaryOperator<Plain> before = fold;
        fold = before == null ? folded : plain -> folded.apply(before.apply(plain));
    }

    @Override
    public void cannotFold(String reason) {
        whyNot = reason;
    }

    private DType dtype() {
        return layer.parameters().findFirst().map(Graft::dtype).orElse(DType.F32);
    }
}
