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

/// Rotary position embedding (Su et al. 2021, arXiv:2104.09864): pairs of numbers in each head turn by an angle that grows with the position.
///
/// ```
/// y₁ = x₁·cos − s·x₂·sin      y₂ = x₂·cos + s·x₁·sin      s = +1, or −1 when inverse
/// pairs, among the first R of D:  (i, i + R/2) half-split (LLaMA),  (2i, 2i + 1) interleaved (GPT-J)
/// ```
/// x: `[B, T, H, D]`, cos and sin: `[P, R/2]` by position, positions: I32 `[B, T]` within 0 … P − 1. Elements R … D − 1 of each head pass unchanged. A rotation's
/// transpose is its inverse, so the gradient is Rope itself.
public record Rope(boolean interleaved, boolean inverse) implements Composite {
    public static Tensor of(Tensor x, Tensor cos, Tensor sin, Tensor positions, boolean interleaved) {
        return new Rope(interleaved, false).apply(x, cos, sin, positions);
    }

    @Override
    public List<Spec> infer(List<Spec> in) {
        Shape x = in.get(0).shape();
        Shape cos = in.get(1).shape();
        if (x.rank() != 4) throw new ShapeException("x must be [B, T, H, D]");
        if (cos.rank() != 2 || !cos.equals(in.get(2).shape())) throw new ShapeException("cos and sin must both be [P, R/2]");
        if (2 * cos.dim(1) > x.dim(3)) throw new ShapeException("2·" + cos.dim(1) + " elements turn, but a head has " + x.dim(3));
        if (!in.get(3).shape().equals(x.range(0, 2))) throw new ShapeException("positions must be [B, T], got " + in.get(3).shape());
        Gather.requireIndex(in.get(3));
        return List.of(in.get(0));
    }

    @Override
    public Tensor define(List<Tensor> in) {
        Tensor x = in.get(0);
        Tensor cos = in.get(1).gather(in.get(3)).unsqueeze(2);                      // [B, T, 1, R/2]
        Tensor sin = in.get(2).gather(in.get(3)).unsqueeze(2).mul(inverse ? -1 : 1);
        int half = cos.dim(-1);
        Tensor turning = x.slice(-1, 0, 2 * half);
        Tensor turned;
        if (interleaved) {
            Tensor pairs = turning.reshape(x.shape().range(0, 3).concat(Shape.of(half, 2)));
            Tensor x1 = pairs.slice(-1, 0, 1).squeeze(-1);                         // [B, T, H, R/2]
            Tensor x2 = pairs.slice(-1, 1, 2).squeeze(-1);
            Tensor y1 = x1.mul(cos).sub(x2.mul(sin));
            Tensor y2 = x2.mul(cos).add(x1.mul(sin));
            turned = Tensor.cat(-1, y1.unsqueeze(-1), y2.unsqueeze(-1)).reshape(turning.shape());
        } else {
            Tensor x1 = turning.slice(-1, 0, half);
            Tensor x2 = turning.slice(-1, half, 2 * half);
            turned = Tensor.cat(-1, x1.mul(cos).sub(x2.mul(sin)), x2.mul(cos).add(x1.mul(sin)));
        }
        return 2 * half == x.dim(-1) ? turned : Tensor.cat(-1, turned, x.slice(-1, 2 * half, x.dim(-1)));
    }

    @Override
    public Keep keep(Wanted wanted) {
        return Keep.inputs(1, 2, 3);                                            // x is not needed
    }

    @Override
    public void vjp(Call c, Tensor dy, Gradients g) {
        g.of(0, () -> new Rope(interleaved, !inverse).apply(dy, c.in(1), c.in(2), c.in(3)));
        g.constant(1, 2, 3);
    }
}
