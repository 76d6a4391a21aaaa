package dev.graft.tensor.op;

import dev.graft.tensor.Call;
import dev.graft.tensor.Gradients;
import dev.graft.tensor.Keep;
import dev.graft.tensor.Shape;
import dev.graft.tensor.ShapeException;
import dev.graft.tensor.Spec;
import dev.graft.tensor.Tensor;
import dev.graft.tensor.Wanted;
import java.util.List;

/// Tensors joined along one axis; the other axes agree. The gradient of a part is the matching slice of `dy`.
public record Cat(int axis) implements Primitive {
    @Override
    public List<Spec> infer(List<Spec> in) {
        if (in.isEmpty()) throw new ShapeException("nothing to join");
        Spec first = in.getFirst();
        int a = first.shape().axis(axis);
        int size = 0;
        for (Spec s : in) {
            Shape shape = s.shape();
            if (s.dtype() != first.dtype() || shape.rank() != first.shape().rank() || !shape.with(a, 0).equals(first.shape().with(a, 0))) {
                throw new ShapeException("parts must agree but for axis " + axis);
            }
            size += shape.dim(a);
        }
        return List.of(first.with(first.shape().with(a, size)));
    }

    @Override
    public Keep keep(Wanted wanted) {
        return Keep.NOTHING;
    }

    @Override
    public void vjp(Call c, Tensor dy, Gradients g) {
        int from = 0;
        for (int i = 0; i < c.inputs(); i++) {
            int start = from;
            int end = from + c.inSpec(i).shape().dim(axis);
            g.of(i, () -> dy.slice(axis, start, end));
            from = end;
        }
    }
}
