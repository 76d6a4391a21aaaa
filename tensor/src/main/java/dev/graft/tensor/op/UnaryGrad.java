package dev.graft.tensor.op;

import dev.graft.tensor.Call;
import dev.graft.tensor.Gradients;
import dev.graft.tensor.ShapeException;
import dev.graft.tensor.Spec;
import dev.graft.tensor.Tensor;
import dev.graft.tensor.TensorException;
import java.util.List;

/// The gradient of a [Unary].
///
/// ```
/// dx = dy ⊙ f′(x)
/// ```
/// x, dy: any shape, the same.
public record UnaryGrad(Unary function) implements Primitive {
    @Override
    public List<Spec> infer(List<Spec> in) {
        if (!in.get(0).shape().equals(in.get(1).shape())) throw new ShapeException("x and dy must have the same shape");
        return List.of(in.get(1));
    }

    @Override
    public void vjp(Call call, Tensor dy, Gradients g) {
        throw new TensorException("second derivatives of " + function + " are not available");
    }
}
