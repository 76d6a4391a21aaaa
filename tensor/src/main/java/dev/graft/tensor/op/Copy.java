package dev.graft.tensor.op;

import dev.graft.tensor.Call;
import dev.graft.tensor.Gradients;
import dev.graft.tensor.Keep;
import dev.graft.tensor.Spec;
import dev.graft.tensor.Tensor;
import dev.graft.tensor.Wanted;
import java.util.List;

/// The same values in memory of their own, row-major.
public record Copy() implements Primitive {
    @Override
    public List<Spec> infer(List<Spec> in) {
        return List.of(in.getFirst());
    }

    @Override
    public Keep keep(Wanted wanted) {
        return Keep.NOTHING;
    }

    @Override
    public void vjp(Call c, Tensor dy, Gradients g) {
        g.of(0, () -> dy);
    }
}
