package dev.graft.tensor.op;

import dev.graft.tensor.Call;
import dev.graft.tensor.Gradients;
import dev.graft.tensor.Keep;
import dev.graft.tensor.ShapeException;
import dev.graft.tensor.Spec;
import dev.graft.tensor.Tensor;
import dev.graft.tensor.Wanted;
import java.util.List;

/// Sums along the last axis, of all up to each element or, in reverse, from each on.
///
/// ```
/// yⱼ = Σ_{i ≤ j} xᵢ        dxᵢ = Σ_{j ≥ i} dyⱼ
/// ```
/// x, y: [..., n]. The definition adds to each what lies 1, 2, 4, … before it (Hillis & Steele 1986).
public record Cumsum(boolean reverse) implements Composite {
    @Override
    public List<Spec> infer(List<Spec> in) {
        Spec x = in.getFirst();
        if (!x.dtype().isFloating() || x.shape().rank() == 0) throw new ShapeException("needs floating values along an axis, got " + x);
        return List.of(x);
    }

    @Override
    public Tensor define(List<Tensor> in) {
        Tensor y = in.getFirst();
        int n = y.dim(-1);
        if (n < 2) return y.copy();
        for (long step = 1; step < n; step *= 2) {
            int by = (int) step;
            Tensor zeros = Tensor.zeros(y.spec().with(y.shape().with(-1, by)));
            y = y.add(reverse ? Tensor.cat(-1, y.slice(-1, by, n), zeros) : Tensor.cat(-1, zeros, y.slice(-1, 0, n - by)));
        }
        return y;
    }

    @Override
    public Keep keep(Wanted wanted) {
        return Keep.NOTHING;
    }

    @Override
    public void vjp(Call c, Tensor dy, Gradients g) {
        g.of(0, () -> new Cumsum(!reverse).apply(dy));
    }
}
