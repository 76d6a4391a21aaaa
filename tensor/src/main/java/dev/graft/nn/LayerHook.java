package dev.graft.nn;

import dev.graft.tensor.Tensor;
import java.util.function.UnaryOperator;

/// What an adapter puts around a layer: `y = around(x, layer)`.
@FunctionalInterface
public interface LayerHook {
    /// @param next the layer, inside the hooks attached before
    Tensor around(Tensor x, UnaryOperator<Tensor> next);
}
