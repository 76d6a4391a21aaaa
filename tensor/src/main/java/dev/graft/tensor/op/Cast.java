package dev.graft.tensor.op;

import dev.graft.tensor.Call;
import dev.graft.tensor.DType;
import dev.graft.tensor.Gradients;
import dev.graft.tensor.Keep;
import dev.graft.tensor.Spec;
import dev.graft.tensor.Tensor;
import dev.graft.tensor.Wanted;
import java.util.List;

/// Another element type: rounded to nearest, ties to even, into a narrower floating type; towards zero into an integer, saturating.
public record Cast(DType to) implements Primitive {
    @Override
    public List<Spec> infer(List<Spec> in) {
        return List.of(in.getFirst().with(to));
    }

    @Override
    public Keep keep(Wanted wanted) {
        return Keep.NOTHING;
    }

    @Override
    public void vjp(Call c, Tensor dy, Gradients g) {
        if (to.isFloating()) g.of(0, () -> dy.to(c.inSpec(0).dtype().computed()));
        else g.none(0);
    }
}
