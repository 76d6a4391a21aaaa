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

/// Adds a matrix product to what is there, as PyTorch's `addmm`: the second half of a low-rank pair to what a layer gives, of a bottleneck to what goes in.
///
/// ```
/// z = y + α h Bᵀ
/// dy = dz        dh = α dz B        dB = α dzᵀ h
/// ```
/// Inputs y `[…, out]`, h `[…, r]`, B `[out, r]`; z as y.
public record AddMm(double alpha) implements Composite {
    @Override
    public List<Spec> infer(List<Spec> in) {
        Shape y = in.get(0).shape(), h = in.get(1).shape(), b = in.get(2).shape();
        int axes = y.rank();
        boolean fits = axes >= 1 && h.rank() == axes && b.rank() == 2 && h.range(0, axes - 1).equals(y.range(0, axes - 1))
                && b.dim(0) == y.dim(-1) && b.dim(1) == h.dim(-1);
        if (!fits) throw new ShapeException("y [.., out], h [.., r] and B [out, r] do not fit: %s, %s and %s".formatted(y, h, b));
        return List.of(in.getFirst());
    }

    @Override
    public Tensor define(List<Tensor> in) {
        Tensor y = in.get(0), h = in.get(1), b = in.get(2);
        return y.add(scaled(h).matmulT(b).to(y.dtype()));                        // the factor on [.., r] rather than on [.., out]
    }

    private Tensor scaled(Tensor h) {
        return alpha == 1 ? h : h.mul(alpha);
    }

    @Override
    public Keep keep(Wanted wanted) {
        return Keep.NOTHING.with(1, wanted.input(2)).with(2, wanted.input(1));
    }

    @Override
    public void vjp(Call c, Tensor dz, Gradients g) {
        g.of(0, () -> dz);
        g.of(1, () -> scaled(dz.matmul(c.in(2))).to(c.inSpec(1).dtype()));
        g.of(2, () -> {
            Tensor h = c.in(1), rows = dz.reshape(-1, dz.dim(-1));
            return rows.tMatmul(scaled(h).reshape(rows.dim(0), h.dim(-1))).to(c.inSpec(2).dtype());
        });
    }
}
