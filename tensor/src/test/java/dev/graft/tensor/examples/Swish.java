package dev.graft.tensor.examples;

import dev.graft.tensor.Call;
import dev.graft.tensor.Gradients;
import dev.graft.tensor.Keep;
import dev.graft.tensor.Tensor;
import dev.graft.tensor.Wanted;
import dev.graft.tensor.op.Composite;
import java.util.List;

/// Swish (Ramachandran et al. 2017, arXiv:1710.05941).
///
/// ```
/// y = x · σ(βx)        dy/dx = s + βx·s·(1 − s),  s = σ(βx)
/// ```
public record Swish(double beta) implements Composite {
    public static Tensor of(Tensor x, double beta) {
        return new Swish(beta).apply(x);
    }

    @Override
    public Tensor define(List<Tensor> in) {
        Tensor x = in.getFirst();
        return x.mul(x.mul(beta).sigmoid());
    }

    // Optional: without these two, the definition is differentiated.

    @Override
    public Keep keep(Wanted wanted) {
        return Keep.inputs(0);
    }

    @Override
    public void vjp(Call call, Tensor dy, Gradients g) {
        g.of(0, () -> {
            Tensor x = call.in(0);
            Tensor s = x.mul(beta).sigmoid();
            return dy.mul(s.add(x.mul(s).mul(beta).mul(s.neg().add(1))));
        });
    }
}
