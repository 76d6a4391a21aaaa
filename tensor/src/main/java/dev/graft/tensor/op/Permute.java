package dev.graft.tensor.op;

import dev.graft.tensor.Call;
import dev.graft.tensor.Gradients;
import dev.graft.tensor.Shape;
import dev.graft.tensor.ShapeException;
import dev.graft.tensor.Spec;
import dev.graft.tensor.Tensor;
import dev.graft.tensor.backend.View;
import java.util.List;
import java.util.stream.IntStream;

/// Axes in another order: axis `i` of the result is axis `axes[i]` of the input.
public record Permute(List<Integer> axes) implements ViewOp {

    public static Tensor of(Tensor x, int... axes) {
        return new Permute(IntStream.of(axes).map(x.shape()::axis).boxed().toList()).apply(x);
    }

    @Override
    public Spec infer(Spec in) {
        if (!axes.stream().sorted().toList().equals(IntStream.range(0, in.shape().rank()).boxed().toList())) {
            throw new ShapeException("each of the " + in.shape().rank() + " axes must be named once, got " + axes);
        }
        return in.with(Shape.of(axes.stream().mapToInt(in.shape()::dim).toArray()));
    }

    @Override
    public View view(View in) {
        return in.permute(axes.stream().mapToInt(i -> i).toArray());
    }

    @Override
    public void vjp(Call c, Tensor dy, Gradients g) {
        g.of(0, () -> dy.permute(IntStream.range(0, axes.size()).map(axes::indexOf).toArray()));
    }
}
