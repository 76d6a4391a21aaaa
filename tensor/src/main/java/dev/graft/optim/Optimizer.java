package dev.graft.optim;

import dev.graft.nn.Parameter;
import dev.graft.tensor.Grads;
import dev.graft.tensor.Tensor;
import java.util.List;
import java.util.Map;

/// Changes parameters by their gradients. Owns its state's memory.
public interface Optimizer extends AutoCloseable {
    List<Parameter> parameters();

    /// One step at this learning rate. Parameters that no gradient reached stay as they are.
    void step(Grads grads, double learningRate);

    /// Everything a resumed run needs to go on with the same bits: tensors by name, such as `exp_avg.<parameter>`.
    Map<String, Tensor> state();

    /// Takes up a state that [#state()] gave; throws when a name or shape does not fit.
    void restore(Map<String, Tensor> state);

    @Override
    void close();
}
