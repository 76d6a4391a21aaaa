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
import java.util.List;

/// Matrix product, batched over leading axes, which broadcast; either side may be read transposed where it lies.
///
/// ```
/// y = op(a) · op(b)            op(x) = xᵀ when its flag is set
/// da = dy · op(b)ᵀ             db = op(a)ᵀ · dy          (transposed once more where the flag is set)
/// ```
/// a: `[…, M, K]`, b: `[…, K, N]`, y: `[…, M, N]`. Half-precision operands are widened; the sum is F32, or F64 for F64.
public record MatMul(boolean transposeA, boolean transposeB) implements Primitive {
    @Override
    public List<Spec> infer(List<Spec> in) {
        Spec a = in.get(0);
        Spec b = in.get(1);
        if (a.shape().rank() < 2 || b.shape().rank() < 2) throw new ShapeException("both sides need at least two axes");
        DType type = a.dtype().computed();
        if (!type.isFloating() || b.dtype().computed() != type) {
            throw new ShapeException("both sides must be floating and of one precision, got " + a.dtype() + " and " + b.dtype());
        }
        int m = a.shape().dim(transposeA ? -1 : -2);
        int k = a.shape().dim(transposeA ? -2 : -1);
        int kb = b.shape().dim(transposeB ? -1 : -2);
        int n = b.shape().dim(transposeB ? -2 : -1);
        if (k != kb) throw new ShapeException("inner sizes must agree, got " + k + " and " + kb);
        return List.of(new Spec(batch(a.shape()).broadcast(batch(b.shape())).concat(Shape.of(m, n)), type));
    }

    @Override
    public Keep keep(Wanted wanted) {
        return Keep.NOTHING.with(0, wanted.input(1)).with(1, wanted.input(0));
    }

    @Override
    public void vjp(Call c, Tensor dy, Gradients g) {
        g.of(0, () -> {
            Tensor b = c.in(1);
            Tensor da = transposeA ? new MatMul(transposeB, true).apply(b, dy) : new MatMul(false, !transposeB).apply(dy, b);
            return Reduce.toShape(da, c.inSpec(0).shape());
        });
        g.of(1, () -> {
            Tensor a = c.in(0);
            Tensor d = dy;
            if (c.inSpec(1).shape().rank() == 2 && !transposeA && a.rank() > 2) {  // one weight for the whole batch: one product, not a sum of many
                a = a.reshape(-1, a.dim(-1));
                d = d.reshape(-1, d.dim(-1));
            }
            Tensor db = transposeB ? new MatMul(true, transposeA).apply(d, a) : new MatMul(!transposeA, false).apply(a, d);
            return Reduce.toShape(db, c.inSpec(1).shape());
        });
    }

    private static Shape batch(Shape s) {
        return s.range(0, s.rank() - 2);
    }
}
