package dev.graft.tensor.op;

import dev.graft.tensor.Call;
import dev.graft.tensor.Gradients;
import dev.graft.tensor.Keep;
import dev.graft.tensor.Tensor;
import dev.graft.tensor.Wanted;
import java.util.List;

/// Logarithm of the softmax over the last axis.
///
/// ```
/// y = x − max x − ln Σ e^(x − max x)        dx = dy − e^y Σ dy
/// ```
public record LogSoftmax() implements Composite {
    @Override
    public Tensor define(List<Tensor> in) {
        Tensor x = in.getFirst();
        Tensor shifted = x.sub(x.max(-1));
        return shifted.sub(shifted.exp().sum(-1).log());
    }

    @Override
    public Keep keep(Wanted wanted) {
        return Keep.outputs(0);
    }

    @Override
    public void vjp(Call c, Tensor dy, Gradients g) {
        g.of(0, () -> dy.sub(c.out(0).exp().mul(dy.sum(-1))));
    }
}
