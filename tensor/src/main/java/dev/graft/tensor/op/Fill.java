package dev.graft.tensor.op;

import dev.graft.tensor.Call;
import dev.graft.tensor.Gradients;
import dev.graft.tensor.Spec;
import dev.graft.tensor.Tensor;
import java.util.List;

/// One value everywhere. No inputs.
public record Fill(Spec spec, double value) implements Primitive {
    @Override
    public List<Spec> infer(List<Spec> in) {
        return List.of(spec);
    }

    @Override
    public void vjp(Call c, Tensor dy, Gradients g) {
        // nothing comes in
    }
}
