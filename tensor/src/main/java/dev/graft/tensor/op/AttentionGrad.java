package dev.graft.tensor.op;

import dev.graft.tensor.Spec;
import dev.graft.tensor.Tensor;
import java.util.List;

/// The gradient of [Attention] with respect to q, k and v (Dao et al. 2022, arXiv:2205.14135, algorithm 4).
///
/// ```
/// p = e^(s − lse)        dv = pᵀ dy        dp = dy vᵀ        ds = p ⊙ (dp − rowsum(dy ⊙ y))
/// dq = scale · ds k      dk = scale · dsᵀ q
/// ```
/// Inputs: dy, y, lse, then those of the forward op. Outputs: dq `[B, T, H, D]`, dk and dv `[B, S, K, D]`, F32 where k and v
/// are stored in 16 bits.
public record AttentionGrad(Attention forward) implements Composite {
    @Override
    public List<Spec> infer(List<Spec> in) {
        return in.subList(3, 6).stream().map(s -> s.with(s.dtype().computed())).toList();
    }

    @Override
    public Tensor define(List<Tensor> in) {
        return defineAll(in).getFirst();
    }

    @Override
    public List<Tensor> defineAll(List<Tensor> in) {
        List<Tensor> inputs = in.subList(3, in.size());
        Tensor q = inputs.get(0);
        Tensor k = inputs.get(1);
        Tensor v = inputs.get(2);
        int keyHeads = k.dim(2);
        Tensor dy = Attention.heads(in.get(0), keyHeads);                        // [B, K, H/K, T, D]
        Tensor scores = forward.scores(inputs);                                 // [B, K, H/K, T, S]
        Tensor lse = in.get(2).reshape(q.dim(0), keyHeads, q.dim(2) / keyHeads, q.dim(1), 1);
        Tensor p = scores.sub(lse).exp().where(Attention.allowed(scores), Tensor.scalar(q.dtype(), 0));
        Tensor dv = p.tMatmul(dy).sum(2);                                       // [B, K, 1, S, D]
        Tensor dp = dy.matmulT(Attention.heads(v, keyHeads));
        Tensor along = dy.mul(Attention.heads(in.get(1), keyHeads)).sum(-1);
        Tensor ds = p.mul(dp.sub(along)).mul(forward.scale());
        Tensor dq = ds.matmul(Attention.heads(k, keyHeads));
        Tensor dk = ds.tMatmul(Attention.heads(q, keyHeads)).sum(2);
        return List.of(Attention.together(dq, q.shape()), Attention.together(dk, k.shape()), Attention.together(dv, v.shape()));
    }
}
