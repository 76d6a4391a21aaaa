package dev.graft.tensor.op;

import dev.graft.tensor.Call;
import dev.graft.tensor.DType;
import dev.graft.tensor.Gradients;
import dev.graft.tensor.Keep;
import dev.graft.tensor.Shape;
import dev.graft.tensor.ShapeException;
import dev.graft.tensor.Spec;
import dev.graft.tensor.Tensor;
import dev.graft.tensor.Wanted;
import java.util.List;

/// Sums of squares of any number of tensors at once: what the norm of all gradients is made of.
///
/// ```
/// yₜ = Σᵢ xₜᵢ²        dxₜ = 2 dyₜ xₜ
/// ```
/// Inputs x₀, x₁, …: any shapes, one type; y: as many numbers.
public record SquaredNorms() implements Composite {
    @Override
    public List<Spec> infer(List<Spec> in) {
        if (in.isEmpty()) throw new ShapeException("needs a tensor at least");
        DType type = in.getFirst().dtype();
        for (Spec x : in)
            if (!type.isFloating() || x.dtype() != type) throw new ShapeException("needs one floating type, got " + type + " and " + x);
        return List.of(Spec.of(type, in.size()));
    }

    @Override
    public Tensor define(List<Tensor> in) {
        return Tensor.cat(0, in.stream().map(x -> x.square().sum().reshape(1)).toArray(Tensor[]::new));
    }

    @Override
    public Keep keep(Wanted wanted) {
        return new Keep(-1, 0);
    }

    @Override
    public void vjp(Call c, Tensor dy, Gradients g) {
        for (int t = 0; t < c.inputs(); t++) {
            int own = t;
            g.of(t, () -> c.in(own).mul(dy.slice(0, own, own + 1).reshape(Shape.SCALAR)).mul(2));
        }
    }
}
