package dev.graft.tensor.op;

import dev.graft.tensor.Call;
import dev.graft.tensor.Gradients;
import dev.graft.tensor.Keep;
import dev.graft.tensor.Spec;
import dev.graft.tensor.Tensor;
import dev.graft.tensor.Wanted;
import java.util.List;

/// Arithmetic with constants.
///
/// ```
/// y = scale · x + shift        dx = scale · dy
/// ```
public record Affine(double scale, double shift) implements Primitive {
    @Override
    public List<Spec> infer(List<Spec> in) {
        return List.of(in.getFirst());
    }

    @Override
    public Keep keep(Wanted wanted) {
        return Keep.NOTHING;
    }

    @Override
    public void vjp(Call call, Tensor dy, Gradients g) {
        g.of(0, () -> scale == 1 ? dy : dy.mul(scale));
    }
}
