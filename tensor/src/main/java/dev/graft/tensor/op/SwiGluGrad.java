package dev.graft.tensor.op;

import dev.graft.tensor.Spec;
import dev.graft.tensor.Tensor;
import java.util.List;

/// The gradient of [SwiGlu].
///
/// ```
/// dgate = dy ⊙ up ⊙ silu′(gate)        dup = dy ⊙ silu(gate)
/// ```
/// Inputs gate, up, dy; outputs dgate, dup; one shape.
public record SwiGluGrad() implements Composite {
    @Override
    public List<Spec> infer(List<Spec> in) {
        return List.of(in.get(0), in.get(1));
    }

    @Override
    public Tensor define(List<Tensor> in) {
        return defineAll(in).getFirst();
    }

    @Override
    public List<Tensor> defineAll(List<Tensor> in) {
        Tensor gate = in.get(0);
        Tensor dy = in.get(2);
        return List.of(new UnaryGrad(Unary.SILU).apply(gate, dy.mul(in.get(1))), dy.mul(gate.silu()));
    }
}
