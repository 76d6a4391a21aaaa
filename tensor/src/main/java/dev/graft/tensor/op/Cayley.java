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

/// The rotation that a skew-symmetric matrix stands for (Cayley 1846).
///
/// ```
/// R = (I − S)(I + S)⁻¹ = 2 (I + S)⁻¹ − I        S: […, n, n], Sᵀ = −S
/// dS = −½ (I + R)ᵀ dR (I + R)ᵀ
/// ```
/// `I + S` is found inverted by Gauss and Jordan without looking for pivots: every leading part of it is again `I` plus a skew matrix, so no pivot is below 1.
public record Cayley() implements Composite {
    public static Tensor of(Tensor skew) {
        return new Cayley().apply(skew);
    }

    @Override
    public List<Spec> infer(List<Spec> in) {
        Shape s = in.getFirst().shape();
        if (s.rank() < 2 || s.dim(-1) != s.dim(-2)) throw new ShapeException("S must be square matrices, got " + s);
        return List.of(in.getFirst());
    }

    @Override
    public Tensor define(List<Tensor> in) {
        Tensor s = in.getFirst();
        int n = s.dim(-1);
        Tensor one = identity(n, s);
        Tensor work = Tensor.cat(-1, s.add(one), one.expand(s.shape()));                 // [I + S | I], to become [I | (I + S)⁻¹]
        for (int k = 0; k < n; k++) {
            Tensor row = work.slice(-2, k, k + 1);
            row = row.div(row.slice(-1, k, k + 1));
            Tensor column = work.slice(-1, k, k + 1).sub(one.slice(-1, k, k + 1));       // of the k-th row one is left, of the others nothing
            work = work.sub(column.mul(row));
        }
        return work.slice(-1, n, 2 * n).mul(2).sub(one);
    }

    @Override
    public Keep keep(Wanted wanted) {
        return Keep.outputs(0);
    }

    @Override
    public void vjp(Call c, Tensor dy, Gradients g) {
        g.of(0, () -> {
            Tensor r = c.out(0);
            Tensor m = r.add(identity(r.dim(-1), r)).transpose(-1, -2);
            return m.matmul(dy).matmul(m).mul(-0.5);
        });
    }

    private static Tensor identity(int n, Tensor like) {
        Tensor i = Tensor.range(like.dtype(), n);
        return i.unsqueeze(1).eq(i.unsqueeze(0)).to(like.dtype());
    }
}
