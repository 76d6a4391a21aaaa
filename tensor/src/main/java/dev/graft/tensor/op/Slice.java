package dev.graft.tensor.op;

import dev.graft.tensor.Call;
import dev.graft.tensor.Gradients;
import dev.graft.tensor.Shape;
import dev.graft.tensor.ShapeException;
import dev.graft.tensor.Spec;
import dev.graft.tensor.Tensor;
import dev.graft.tensor.backend.View;
import java.util.ArrayList;
import java.util.List;

/// Elements `from` to `to` (exclusive) of one axis. The gradient is `dy` among zeros.
public record Slice(int axis, int from, int to) implements ViewOp {
    @Override
    public Spec infer(Spec in) {
        int n = in.shape().dim(axis);
        if (from < 0 || to < from || to > n)
            throw new ShapeException("elements %d to %d of axis %d, which has %d".formatted(from, to, axis, n));
        return in.with(in.shape().with(axis, to - from));
    }

    @Override
    public View view(View in) {
        return in.slice(axis, from, to);
    }

    @Override
    public void vjp(Call c, Tensor dy, Gradients g) {
        g.of(0, () -> {
            Shape whole = c.inSpec(0).shape();
            List<Tensor> parts = new ArrayList<>();
            if (from > 0) parts.add(Tensor.zeros(dy.spec().with(whole.with(axis, from))));
            parts.add(dy);
            if (to < whole.dim(axis)) parts.add(Tensor.zeros(dy.spec().with(whole.with(axis, whole.dim(axis) - to))));
            return parts.size() == 1 ? dy : Tensor.cat(axis, parts.toArray(Tensor[]::new));
        });
    }
}
