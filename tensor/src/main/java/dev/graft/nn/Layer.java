package dev.graft.nn;

import dev.graft.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;
import java.util.function.UnaryOperator;

/// A module with one tensor in and one out. Adapters surround layers by hooks; names, weights and the model's code stay as they are.
public abstract class Layer extends Module {
    private final List<LayerHook> hooks = new ArrayList<>();

    /// What the layer itself does.
    protected abstract Tensor compute(Tensor x);

    /// [#compute], inside the hooks; the one attached last is outermost.
    public final Tensor forward(Tensor x) {
        return forward(x, this::compute);
    }

    /// The same with the layer's work given: for layers that need more than `x`, as attention does.
    protected final Tensor forward(Tensor x, UnaryOperator<Tensor> work) {
        return forward(x, work, hooks.size());
    }

    private Tensor forward(Tensor x, UnaryOperator<Tensor> work, int depth) {
        return depth == 0 ? work.apply(x) : hooks.get(depth - 1).around(x, inner -> forward(inner, work, depth - 1));
    }

    public final void attach(LayerHook hook) {
        hooks.add(hook);
    }

    public final void detach(LayerHook hook) {
        hooks.remove(hook);
    }

    /// Whether anything surrounds this layer, so that its weight alone does not say what it computes.
    public final boolean isSurrounded() {
        return !hooks.isEmpty();
    }
}
