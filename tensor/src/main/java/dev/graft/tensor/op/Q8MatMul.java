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
import java.util.stream.IntStream;

/// Product with a weight stored as int8 in blocks of 32 along its rows, each block with its own scale (the values of ggml's Q8_0, the scales apart).
///
/// ```
/// W[n, k] = scale[n, k/32] · q[n, k]        y = x Wᵀ when transposed (a linear layer), x W otherwise (its gradient)
/// ```
/// x: `[…, K]` (or `[…, N]`), q: I8 `[N, K]`, scale: F32 `[N, ⌈K/32⌉]`, y: `[…, N]` (or `[…, K]`). The weight is frozen: it has no gradient.
public record Q8MatMul(boolean transposed) implements Composite {
    public static final int BLOCK = 32;

    @Override
    public List<Spec> infer(List<Spec> in) {
        Shape q = in.get(1).shape();
        Shape x = in.get(0).shape();
        if (in.get(1).dtype() != DType.I8 || q.rank() != 2) throw new ShapeException("the weight must be i8 [N, K]");
        if (!in.get(2).dtype().isFloating() || !in.get(2).shape().equals(Shape.of(q.dim(0), (q.dim(1) + BLOCK - 1) / BLOCK)))
            throw new ShapeException("scales must be f32 [N, ceil(K/32)], got " + in.get(2));
        int inner = q.dim(transposed ? 1 : 0);
        if (x.rank() < 1 || x.dim(-1) != inner) throw new ShapeException("the last axis of x must be " + inner);
        return List.of(in.get(0).with(x.with(-1, q.dim(transposed ? 0 : 1))));
    }

    @Override
    public Tensor define(List<Tensor> in) {
        Tensor x = in.get(0);
        Tensor w = dequantize(in.get(1), in.get(2)).to(x.dtype());
        Tensor rows = x.reshape(-1, x.dim(-1));
        Tensor y = transposed ? rows.matmulT(w) : rows.matmul(w);
        return y.reshape(x.shape().with(-1, y.dim(-1)));
    }

    @Override
    public Keep keep(Wanted wanted) {
        return Keep.inputs(1, 2);
    }

    @Override
    public void vjp(Call c, Tensor dy, Gradients g) {
        g.of(0, () -> new Q8MatMul(!transposed).apply(dy, c.in(1), c.in(2)));
        g.constant(1, 2);
    }

    /// The weight `[N, K]` in the type of the scales.
    public static Tensor dequantize(Tensor q, Tensor scale) {
        int k = q.dim(1);
        Tensor block = Tensor.of(IntStream.range(0, k).map(i -> i / BLOCK).toArray());
        Tensor perElement = scale.transpose(0, 1).contiguous().gather(block).transpose(0, 1);    // [N, K]
        return q.to(scale.dtype()).mul(perElement);
    }
}
