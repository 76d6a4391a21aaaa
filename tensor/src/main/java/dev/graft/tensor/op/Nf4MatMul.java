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
import java.util.stream.IntStream;
import java.util.stream.Stream;

/// Product with a weight `W [rows, cols]` stored in the format [Nf4].
///
/// ```
/// y = x Wᵀ when transposed (a linear layer), x W otherwise (its gradient)
/// ```
/// x: `[…, cols]` (or `[…, rows]`), then the weight's codes and scales as [Nf4Dequantize] has them; y: `[…, rows]` (or `[…, cols]`). The weight is frozen: it
/// has no gradient.
public record Nf4MatMul(int rows, int cols, boolean transposed) implements Composite {
    @Override
    public List<Spec> infer(List<Spec> in) {
        new Nf4Dequantize(rows, cols).infer(in.subList(1, in.size()));
        Shape x = in.get(0).shape();
        int inner = transposed ? cols : rows;
        if (x.rank() < 1 || x.dim(-1) != inner) throw new ShapeException("the last axis of x must be " + inner);
        return List.of(in.get(0).with(x.with(-1, transposed ? rows : cols)));
    }

    @Override
    public Tensor define(List<Tensor> in) {
        Tensor x = in.get(0);
        Tensor w = new Nf4Dequantize(rows, cols).define(in.subList(1, in.size())).to(x.dtype());
        Tensor flat = x.reshape(-1, x.dim(-1));
        Tensor y = transposed ? flat.matmulT(w) : flat.matmul(w);
        return y.reshape(x.shape().with(-1, y.dim(-1)));
    }

    @Override
    public Keep keep(Wanted wanted) {
        return Keep.inputs(1, 2, 3, 4);
    }

    @Override
    public void vjp(Call c, Tensor dy, Gradients g) {
        Stream<Tensor> weight = IntStream.range(1, c.inputs()).mapToObj(c::in);
        g.of(0, () -> new Nf4MatMul(rows, cols, !transposed).apply(Stream.concat(Stream.of(dy), weight).toArray(Tensor[]::new)));
        g.constant(IntStream.range(1, c.inputs()).toArray());
    }
}
