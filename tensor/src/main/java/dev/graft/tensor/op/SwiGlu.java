package dev.graft.tensor.op;

import dev.graft.tensor.Call;
import dev.graft.tensor.Gradients;
import dev.graft.tensor.Keep;
import dev.graft.tensor.ShapeException;
import dev.graft.tensor.Spec;
import dev.graft.tensor.Tensor;
import dev.graft.tensor.Wanted;
import java.util.List;

/// The gated activation of LLaMA's MLP (Shazeer 2020, arXiv:2002.05202).
///
/// ```
/// y = silu(gate) ⊙ up
/// ```
/// gate, up, y: the same shape.
public record SwiGlu() implements Composite {
    public static Tensor of(Tensor gate, Tensor up) {
        return new SwiGlu().apply(gate, up);
    }

    @Override
    public List<Spec> infer(List<Spec> in) {
        if (!in.get(0).equals(in.get(1))) throw new ShapeException("gate and up must agree");
        return List.of(in.get(0));
    }

    @Override
    public Tensor define(List<Tensor> in) {
        return in.get(0).silu().mul(in.get(1));
    }

    @Override
    public void vjp(Call c, Tensor dy, Gradients g) {
        List<Tensor> d = new SwiGluGrad().applyAll(c.in(0), c.in(1), dy);
        g.of(0, () -> d.get(0));
        g.of(1, () -> d.get(1));
    }

    @Override
    public Keep keep(Wanted wanted) {
        return Keep.inputs(0, 1);
    }
}
