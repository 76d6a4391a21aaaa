package dev.graft.tensor;

import java.util.function.Supplier;

/// Where an op's `vjp` puts its answers.
public interface Gradients {
    /// Whether somebody needs the gradient of this input.
    boolean wants(int input);

    /// The gradient of one input. The supplier runs only when it is wanted; its result has the input's shape.
    void of(int input, Supplier<Tensor> gradient);

    /// The gradient of these inputs is zero wherever it exists (indices, masks, comparisons).
    void none(int... inputs);

    /// These inputs must be constants: wanting their gradient is an error, so that none is lost in silence.
    void constant(int... inputs);

    /// Adds gradients of leaves that are not inputs: the parameters used inside a recomputed part.
    void leaves(Grads inner);
}
