package dev.graft.tensor.op;

import dev.graft.tensor.Call;
import dev.graft.tensor.DType;
import dev.graft.tensor.Gradients;
import dev.graft.tensor.Spec;
import dev.graft.tensor.Tensor;
import java.util.List;

/// `start, start + step, …`, `n` values. No inputs.
public record Range(DType dtype, int n, double start, double step) implements Primitive {
    @Override
    public List<Spec> infer(List<Spec> in) {
        return List.of(Spec.of(dtype, n));
    }

    @Override
    public void vjp(Call c, Tensor dy, Gradients g) {
        // nothing comes in
    }
}
