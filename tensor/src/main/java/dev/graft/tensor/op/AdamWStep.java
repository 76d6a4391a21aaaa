package dev.graft.tensor.op;

import dev.graft.tensor.ShapeException;
import dev.graft.tensor.Spec;
import dev.graft.tensor.Tensor;
import java.util.List;

/// One step of AdamW (Loshchilov & Hutter 2019, arXiv:1711.05101), as PyTorch computes it.
///
/// ```
/// m ← β₁ m + (1 − β₁) g        v ← β₂ v + (1 − β₂) g²
/// p ← p · (1 − lr · weight_decay) − lr · (m / (1 − β₁ᵗ)) / (√(v / (1 − β₂ᵗ)) + eps)
/// ```
/// Of any number of tensors at once. Inputs are p, m, v, g of each, all p first, then all m, all v, all g; outputs are the new p, m, v in that order. `step` is t, from 1. With weight decay 0 it is Adam.
public record AdamWStep(double lr, double beta1, double beta2, double eps, double weightDecay, long step) implements Composite {
    @Override
    public List<Spec> infer(List<Spec> in) {
        int n = in.size() / 4;
        if (n == 0 || in.size() != 4 * n) throw new ShapeException("takes p, m, v and g of each tensor, got " + in.size() + " inputs");
        for (int i = 0; i < 4 * n; i++) {
            if (!in.get(i).equals(in.get(i % n)))
                throw new ShapeException("p, m, v and g must be alike, got %s and %s".formatted(in.get(i % n), in.get(i)));
        }
        return in.subList(0, 3 * n);
    }

    @Override
    public Tensor define(List<Tensor> in) {
        return defineAll(in).getFirst();
    }

    @Override
    public List<Tensor> defineAll(List<Tensor> in) {
        int n = in.size() / 4;
        Tensor[] out = new Tensor[3 * n];
        for (int i = 0; i < n; i++) {
            List<Tensor> moments = new AdamMoments(beta1, beta2).defineAll(List.of(in.get(n + i), in.get(2 * n + i), in.get(3 * n + i)));
            Tensor m = moments.getFirst(), v = moments.getLast();
            Tensor direction = m.div(correction(beta1)).div(v.div(correction(beta2)).sqrt().add(eps));
            out[i] = in.get(i).mul(1 - lr * weightDecay).sub(direction.mul(lr));
            out[n + i] = m;
            out[2 * n + i] = v;
        }
        return List.of(out);
    }

    /// `1 − βᵗ`: what makes up for the averages' start at zero.
    public double correction(double beta) {
        return 1 - Math.pow(beta, step);
    }
}
