package dev.graft.peft.train;

import dev.graft.nn.Parameter;
import dev.graft.optim.AdamW;
import dev.graft.optim.Groups;
import dev.graft.optim.Optimizer;
import dev.graft.tensor.Grads;
import dev.graft.tensor.Tensor;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;

/// Parameters of two kinds: weights Ω, and what says how weights are used, the structure Θ (an activation's coefficients, the gates of a search), which follows data that the weights do not see
/// (Liu et al. 2019, DARTS, arXiv:1806.09055, to first order).
///
/// ```
/// min_Θ L(held out, Ω*(Θ), Θ)      Ω*(Θ) = argmin_Ω L(train, Ω, Θ)
/// each step:   Ω by a batch of the training data, then Θ by a batch of what was held out
/// ```
/// With nothing held out (single level), both go by the same batch. Θ is stepped by AdamW without decay.
final class Bilevel implements Optimizer.ByGradients {
    private static final String OF_STRUCTURE = "structure.";

    private final ByGradients weights;
    private final AdamW structure;
    private final double rate;
    private final boolean heldOut;

    /// @param groups of the structure
    /// @param rate what the structure's learning rate is of that of the weights
    /// @param heldOut whether the structure has data of its own
    Bilevel(ByGradients weights, List<Parameter> structure, AdamW.Config config, Groups groups, double rate, boolean heldOut) {
        this.weights = weights;
        this.structure = new AdamW(structure, config.withWeightDecay(0), groups);
        this.rate = rate;
        this.heldOut = heldOut;
    }

    @Override
    public List<Parameter> parameters() {
        return Stream.concat(weights.parameters().stream(), structure.parameters().stream()).toList();
    }

    /// The weights' step; on a single level the structure's, too.
    @Override
    public void step(Grads grads, double learningRate) {
        weights.step(grads, learningRate);
        if (!heldOut) stepStructure(grads, learningRate);
    }

    /// The structure's step.
    void stepStructure(Grads grads, double learningRate) {
        structure.step(grads, rate * learningRate);
    }

    @Override
    public Map<String, Tensor> state() {
        Map<String, Tensor> state = new LinkedHashMap<>(weights.state());
        structure.state().forEach((name, t) -> state.put(OF_STRUCTURE + name, t));
        return state;
    }

    @Override
    public void restore(Map<String, Tensor> state) {
        Map<String, Tensor> own = new LinkedHashMap<>(), others = new LinkedHashMap<>();
        state.forEach((name, t) -> {
            if (name.startsWith(OF_STRUCTURE)) own.put(name.substring(OF_STRUCTURE.length()), t);
            else others.put(name, t);
        });
        weights.restore(others);
        structure.restore(own);
    }

    @Override
    public void close() {
        weights.close();
        structure.close();
    }
}
