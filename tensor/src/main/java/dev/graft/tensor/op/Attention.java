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
import java.util.ArrayList;
import java.util.List;

/// Scaled dot-product attention over grouped heads (Vaswani et al. 2017, arXiv:1706.03762; Ainslie et al. 2023, arXiv:2305.13245).
///
/// ```
/// s = scale · q kᵀ + bias        p = softmax over the allowed keys of s        y = p v
/// allowed: key j ≤ query i + (S − T) when causal, and mask[b, j] ≠ 0 when masked
/// ```
/// q, y: `[B, T, H, D]`, k, v: `[B, S, K, D]` with K dividing H: query head h reads key head `h / (H/K)`. Optional, in this order: mask `[B, S]`
/// of any type, bias `[B or 1, H or 1, T or 1, S]` added to the scores (ALiBi; a constant). A query without an allowed key gets zeros. The second
/// output is the logarithm of each row's sum, `[B, H, T]`: the backward pass recomputes `p` from it, so that no `[T, S]` matrix is ever held.
public record Attention(double scale, boolean causal, boolean masked, boolean biased) implements Composite {
    private static final double NEVER = -1e30;

    /// @param mask `[B, S]`, or null
    /// @param bias `[B or 1, H or 1, T or 1, S]`, or null
    public static Tensor of(Tensor q, Tensor k, Tensor v, double scale, boolean causal, Tensor mask, Tensor bias) {
        List<Tensor> in = new ArrayList<>(List.of(q, k, v));
        if (mask != null) in.add(mask);
        if (bias != null) in.add(bias);
        return new Attention(scale, causal, mask != null, bias != null).apply(in.toArray(Tensor[]::new));
    }

    @Override
    public List<Spec> infer(List<Spec> in) {
        Shape q = in.get(0).shape();
        Shape k = in.get(1).shape();
        if (q.rank() != 4 || k.rank() != 4 || !k.equals(in.get(2).shape()))
            throw new ShapeException("q must be [B, T, H, D], k and v both [B, S, K, D]");
        if (in.get(0).dtype() != in.get(0).dtype().computed())
            throw new ShapeException("q must be f32 or f64, got " + in.get(0).dtype() + "; only k and v may be 16-bit");
        if (q.dim(0) != k.dim(0) || q.dim(3) != k.dim(3)) throw new ShapeException("q and k must agree in B and D, got " + q + " and " + k);
        if (k.dim(2) == 0 || q.dim(2) % k.dim(2) != 0)
            throw new ShapeException(k.dim(2) + " key heads do not divide " + q.dim(2) + " query heads");
        if (causal && k.dim(1) < q.dim(1))
            throw new ShapeException("causal attention of " + q.dim(1) + " queries over only " + k.dim(1) + " keys");
        if (masked && !in.get(3).shape().equals(k.range(0, 2)))
            throw new ShapeException("the mask must be [B, S], got " + in.get(3).shape());
        if (biased) {
            Shape scores = Shape.of(q.dim(0), q.dim(2), q.dim(1), k.dim(1));
            Shape bias = in.getLast().shape();
            if (bias.rank() != 4 || !bias.broadcast(scores).equals(scores) || bias.dim(3) != k.dim(1)) {
                throw new ShapeException("the bias must stretch to " + scores + ", got " + bias);
            }
        }
        return List.of(in.get(0), in.get(0).with(Shape.of(q.dim(0), q.dim(2), q.dim(1))));
    }

    @Override
    public Tensor define(List<Tensor> in) {
        return defineAll(in).getFirst();
    }

    @Override
    public List<Tensor> defineAll(List<Tensor> in) {
        Tensor q = in.get(0);
        Tensor scores = scores(in);                                             // [B, K, H/K, T, S]
        Tensor max = scores.max(-1);
        Tensor e = scores.sub(max).exp().mul(allowed(scores));
        Tensor sum = e.sum(-1).max(Tensor.scalar(q.dtype(), 1e-30));
        Tensor y = e.div(sum).matmul(heads(in.get(2), in.get(1).dim(2)));        // [B, K, H/K, T, D]
        return List.of(together(y, q.shape()), max.add(sum.log()).reshape(q.dim(0), q.dim(2), q.dim(1)));
    }

    @Override
    public Keep keep(Wanted wanted) {
        return Keep.ALL;
    }

    @Override
    public void vjp(Call c, Tensor dy, Gradients g) {
        List<Tensor> in = new ArrayList<>(List.of(dy, c.out(0), c.out(1)));
        for (int i = 0; i < c.inputs(); i++) in.add(c.in(i));
        List<Tensor> d = new AttentionGrad(this).applyAll(in.toArray(Tensor[]::new));
        for (int i = 0; i < 3; i++) {
            Tensor gradient = d.get(i);
            g.of(i, () -> gradient);
        }
        if (masked) g.none(3);
        if (biased) g.constant(c.inputs() - 1);
    }

    /// Scores `[B, K, H/K, T, S]`, with [#NEVER] where a key is not allowed.
    Tensor scores(List<Tensor> in) {
        Tensor q = in.get(0);
        int keyHeads = in.get(1).dim(2);
        Tensor k = heads(in.get(1), keyHeads);                                  // [B, K, 1, S, D]
        Tensor s = heads(q, keyHeads).matmulT(k).mul(scale);                     // [B, K, H/K, T, S]
        int t = q.dim(1);
        int keys = in.get(1).dim(1);
        if (biased) {
            Tensor bias = in.getLast();
            bias = bias.expand(bias.dim(0), q.dim(2), bias.dim(2), keys);
            s = s.add(bias.reshape(bias.dim(0), keyHeads, q.dim(2) / keyHeads, bias.dim(2), keys));
        }
        Tensor never = Tensor.scalar(q.dtype(), NEVER);
        if (causal) {
            Tensor row = Tensor.range(DType.I32, t).add(keys - t).reshape(t, 1);
            s = s.where(Tensor.range(DType.I32, keys).reshape(1, keys).le(row), never);
        }
        if (masked) s = s.where(in.get(3).reshape(q.dim(0), 1, 1, 1, keys), never);
        return s;
    }

    static Tensor allowed(Tensor scores) {
        return Tensor.scalar(scores.dtype(), NEVER).lt(scores);
    }

    /// `[B, T, H, D]` as `[B, K, H/K, T, D]`.
    static Tensor heads(Tensor x, int keyHeads) {
        return x.reshape(x.dim(0), x.dim(1), keyHeads, x.dim(2) / keyHeads, x.dim(3)).permute(0, 2, 3, 1, 4);
    }

    /// `[B, K, H/K, T, D]` as `[B, T, H, D]`.
    static Tensor together(Tensor x, Shape shape) {
        return x.permute(0, 3, 1, 2, 4).reshape(shape);
    }
}
