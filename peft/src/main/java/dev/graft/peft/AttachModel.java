package dev.graft.peft;

import dev.graft.models.VirtualTokens;
import dev.graft.nn.Init;
import dev.graft.nn.Parameter;
import dev.graft.tensor.Shape;
import dev.graft.tensor.Tensor;
import java.util.function.Supplier;

/// What an adapter may do to a model as a whole. Everything said here is undone when the adapter is detached, and has no effect while it is not in
/// use.
///
/// Some prompts are made by a network while they are trained, and saved without it: what a file holds is the prompt. Such an adapter asks whether it
/// [#isNew]; if so it declares its network by [#encoder] and says what to save by [#saves], else the prompt is a [#param] like any other, and
/// training goes on with the prompt itself.
public interface AttachModel {
    /// Whether the adapter begins here, rather than in a file.
    boolean isNew();

    /// A trained parameter, saved under its name alone.
    Parameter param(String name, Shape shape, Init init);

    /// A trained parameter that the checkpoint does not hold.
    Parameter encoder(String name, Shape shape, Init init);

    /// What the checkpoint holds under a name instead of the parameters that make it.
    void saves(String name, Supplier<Tensor> made);

    /// Puts virtual tokens before every sequence. A model has room for those of one adapter at a time.
    void virtualTokens(VirtualTokens tokens);
}
