package dev.graft.tensor.op;

import dev.graft.tensor.Call;
import dev.graft.tensor.Gradients;
import dev.graft.tensor.Keep;
import dev.graft.tensor.Tensor;
import dev.graft.tensor.Wanted;
import java.util.List;

/// Softmax over the last axis.
///
/// ```
/// y = e^(x − max x) / Σ e^(x − max x)        dx = y ⊙ (dy − Σ y ⊙ dy)
/// ```
public record Softmax() implements Composite {
    @Override
    public Tensor define(List<Tensor> in) {
        Tensor x = in.getFirst();
        Tensor e = x.sub(x.max(-1)).exp();
        return e.div(e.sum(-1));
    }

    @Override
    public Keep keep(Wanted wanted) {
        return Keep.outputs(0);
    }

    @Override
    public void vjp(Call c, Tensor dy, Gradients g) {
        g.of(0, () -> {
            Tensor y = c.out(0);
            return y.mul(dy.sub(y.mul(dy).sum(-1)));
        });
    }
}
