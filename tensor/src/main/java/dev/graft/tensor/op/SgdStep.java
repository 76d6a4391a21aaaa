package dev.graft.tensor.op;

import dev.graft.tensor.ShapeException;
import dev.graft.tensor.Spec;
import dev.graft.tensor.Tensor;
import java.util.List;

/// One step of stochastic gradient descent with momentum (Sutskever et al. 2013), as PyTorch computes it.
///
/// ```
/// g ← g + weight_decay · p        b ← μ b + g        d = g + μ b with Nesterov, else b        p ← p − lr · d
/// ```
/// Inputs p, b, g, one shape; outputs the new p, b. Without momentum (μ = 0) there is no b: inputs p, g, output p, d = g.
public record SgdStep(double lr, double momentum, boolean nesterov, double weightDecay) implements Composite {
    @Override
    public List<Spec> infer(List<Spec> in) {
        int inputs = momentum == 0 ? 2 : 3;
        if (in.size() != inputs)
            throw new ShapeException("with momentum %s takes %d inputs, got %d".formatted(momentum, inputs, in.size()));
        return in.subList(0, inputs - 1);
    }

    @Override
    public Tensor define(List<Tensor> in) {
        return defineAll(in).getFirst();
    }

    @Override
    public List<Tensor> defineAll(List<Tensor> in) {
        Tensor p = in.getFirst();
        Tensor g = weightDecay == 0 ? in.getLast() : in.getLast().add(p.mul(weightDecay));
        if (momentum == 0) return List.of(p.sub(g.mul(lr)));
        Tensor b = in.get(1).mul(momentum).add(g);
        Tensor d = nesterov ? g.add(b.mul(momentum)) : b;
        return List.of(p.sub(d.mul(lr)), b);
    }
}
