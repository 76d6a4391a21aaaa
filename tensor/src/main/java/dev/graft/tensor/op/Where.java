package dev.graft.tensor.op;

import dev.graft.tensor.Call;
import dev.graft.tensor.Gradients;
import dev.graft.tensor.Keep;
import dev.graft.tensor.ShapeException;
import dev.graft.tensor.Spec;
import dev.graft.tensor.Tensor;
import dev.graft.tensor.Wanted;
import java.util.List;

/// Choice, element by element, with broadcasting.
///
/// ```
/// y = condition ≠ 0 ? a : b
/// ```
/// condition: any type; a, b: one type.
public record Where() implements Primitive {
    @Override
    public List<Spec> infer(List<Spec> in) {
        if (in.get(1).dtype() != in.get(2).dtype()) throw new ShapeException("both choices must have one type");
        return List.of(in.get(1).with(in.get(0).shape().broadcast(in.get(1).shape()).broadcast(in.get(2).shape())));
    }

    @Override
    public Keep keep(Wanted wanted) {
        return Keep.inputs(0);
    }

    @Override
    public void vjp(Call c, Tensor dy, Gradients g) {
        g.none(0);
        g.of(1, () -> Reduce.toShape(dy.where(c.in(0), Tensor.scalar(dy.dtype(), 0)), c.inSpec(1).shape()));
        g.of(2, () -> Reduce.toShape(Tensor.scalar(dy.dtype(), 0).where(c.in(0), dy), c.inSpec(2).shape()));
    }
}
