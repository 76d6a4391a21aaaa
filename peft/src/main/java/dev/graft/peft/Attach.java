package dev.graft.peft;

import dev.graft.models.ModelConfig;
import dev.graft.nn.Init;
import dev.graft.nn.Layer;
import dev.graft.nn.LayerHook;
import dev.graft.nn.Parameter;
import dev.graft.tensor.Shape;
import dev.graft.tensor.Tensor;
import java.util.List;
import java.util.function.BinaryOperator;
import java.util.function.Supplier;
import java.util.function.UnaryOperator;

/// What an adapter may do at one place. Everything said here is undone when the adapter is detached, and has no effect while it is not in use.
///
/// Parameters have no values yet while an adapter is being attached: read them inside hooks and folds only.
public interface Attach {
    /// Path of the place: `model.layers.0.self_attn.q_proj`.
    String path();

    /// A trained parameter, saved as `<place>.<name>`. It starts the same for the same seed, wherever else the adapter goes.
    Parameter param(String name, Shape shape, Init init);

    /// A trained parameter that says how others are used, such as an activation's coefficients: it has a learning rate and, in bi-level training, examples of its own.
    Parameter structure(String name, Shape shape, Init init);

    /// A trained parameter that all places share, saved under its name alone. The first place to ask brings it into being.
    Parameter shared(String name, Shape shape, Init init);

    /// Values that are neither trained nor saved, since they follow from the base model or the hyper-parameters.
    Parameter constant(String name, Shape shape, Init init);

    /// Values that all places share and that training leaves alone. The first place to ask brings them into being.
    ///
    /// @param saved whether the checkpoint holds them, under their name alone; otherwise they follow from the hyper-parameters
    Parameter sharedConstant(String name, Shape shape, Init init, boolean saved);

    /// Values that change as training goes on and are not trained themselves, nor saved: a run's checkpoints hold them.
    Parameter state(String name, Shape shape, Init init);

    /// What the checkpoint holds as `<place>.<name>` instead of the parameter of that name.
    void saves(String name, Supplier<Tensor> made);

    /// Adds a scalar to the loss that is trained on: to the mean of each step, once.
    void penalty(Supplier<Tensor> penalty);

    /// The sizes of the model. Throws when it is no [CausalLm][dev.graft.models.CausalLm].
    ModelConfig model();

    /// All layers that the adapter goes to, in the model's order.
    List<Layer> layers();

    /// Trains a parameter that the model has already, saved under its own name. The model's values are not touched: while the adapter is in
    /// use, a trained copy stands in for them.
    void train(Parameter existing);

    /// The same, saved as `<place>.<name>`.
    void train(Parameter existing, String name);

    /// Adds to the layer's output: `y = layer(x) + delta(x)`.
    void adds(UnaryOperator<Tensor> delta);

    /// Adds by way of few numbers: `y = layer(x) + scale · inner(x) Bᵀ`, inner(x) `[.., m]`, B `[out, m]`; the axes before are y's. As [#adds], going over y once less.
    void addsThrough(UnaryOperator<Tensor> inner, Parameter b, double scale);

    /// Adds a product of two thin matrices: `y = layer(x) + scale · B A drop(x)`, A `[r, in]`, B `[out, r]`. As [#adds], and rows of a batch that have other matrices than each other's
    /// are computed together.
    void addsLowRank(Parameter a, Parameter b, double scale, double dropout);

    /// Changes what goes in: `y = layer(change(x))`.
    void before(UnaryOperator<Tensor> change);

    /// Changes what comes out: `y = change(layer(x))`.
    default void after(UnaryOperator<Tensor> change) {
        after((_, y) -> change.apply(y));
    }

    /// The same by what went in: `y = change(x, layer(x))`.
    void after(BinaryOperator<Tensor> change);

    /// Scales what comes out: `y = layer(x) ⊙ l`, l `[out]` or `[B, 1, out]`. As [#after], and rows of a batch are scaled together.
    void scales(Supplier<Tensor> l);

    /// Scales what goes in: `y = layer(x ⊙ l)`, l `[in]` or `[B, 1, in]`.
    void scalesInput(Supplier<Tensor> l);

    /// Makes something of the prompts, `[B, n, …]`, from what this layer reads of them. It is made in the pass that reads the prompts and stays with their cache; parts inside this layer get it.
    Supplier<Tensor> ofPrompts(UnaryOperator<Tensor> made);

    /// A place inside this layer, for what acts on more than one at once. Parameters asked for there are named as those here.
    Attach within(Layer inner);

    /// Surrounds the layer: `y = hook(x, layer)`. What only adds is better said with [#adds], which can be weighted at no cost; what changes one side with [#before] or [#after], which let
    /// rows with other adapters share the layer's work.
    void around(LayerHook hook);

    /// Adds to what the queries of an attention layer read, before its output projection: `y = read(q) + delta(q)`, all `[B, T, H, D]`.
    void addsToReading(UnaryOperator<Tensor> delta);

    /// What another adapter of the model puts around this layer, to make something of it. That adapter is frozen then, and stays as long as this one. Throws when it is not attached, or
    /// not to this layer.
    LayerHook attached(String name);

    /// The plain layer that the adapted one amounts to, for merging. Read from the parameters' values at that time.
    void folds(UnaryOperator<Plain> folded);

    /// Why there is no such plain layer. Ends the sentence "cannot be merged: …".
    void cannotFold(String reason);
}
