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

/// Cross-entropy of each row of logits with its target.
///
/// ```
/// loss[n] = lse[n] − logits[n, target[n]]        lse = ln Σ e^logits        0 where target[n] = ignore_index
/// ```
/// logits: `[N, V]`, target: I32 or I64 `[N]`, loss: `[N]`. The second output is `lse`, `[N]`: the gradient needs no stored probabilities.
public record CrossEntropy(int ignoreIndex) implements Composite {
    public static Tensor of(Tensor logits, Tensor target, int ignoreIndex) {
        return new CrossEntropy(ignoreIndex).apply(logits, target);
    }

    @Override
    public List<Spec> infer(List<Spec> in) {
        Shape logits = in.get(0).shape();
        if (logits.rank() != 2 || !in.get(1).shape().equals(Shape.of(logits.dim(0))))
            throw new ShapeException("logits must be [N, V] and targets [N]");
        Gather.requireIndex(in.get(1));
        Spec row = in.get(0).with(Shape.of(logits.dim(0)));
        return List.of(row, row);
    }

    @Override
    public Tensor define(List<Tensor> in) {
        return defineAll(in).getFirst();
    }

    @Override
    public List<Tensor> defineAll(List<Tensor> in) {
        Tensor logits = in.get(0);
        int rows = logits.dim(0);
        Tensor max = logits.max(-1);
        Tensor lse = logits.sub(max).exp().sum(-1).log().add(max);               // [N, 1]
        Tensor picked = logits.where(oneHot(in.get(1), logits), Tensor.scalar(logits.dtype(), 0)).sum(-1);   // a product with 0 would make NaN of an infinity
        Tensor loss = lse.sub(picked).mul(counts(in.get(1), logits.dtype()));
        return List.of(loss.reshape(rows), lse.reshape(rows));
    }

    @Override
    public Keep keep(Wanted wanted) {
        return Keep.inputs(0, 1).and(Keep.outputs(1));
    }

    @Override
    public void vjp(Call c, Tensor dy, Gradients g) {
        g.of(0, () -> new CrossEntropyGrad(ignoreIndex).apply(c.in(0), c.in(1), c.out(1), dy));
        g.none(1);
    }

    /// 1 at the target, `[N, V]`; anywhere in a row that does not count. A target outside 0 … V − 1 is an error naming it.
    Tensor oneHot(Tensor target, Tensor logits) {
        Tensor classes = Tensor.range(DType.I32, logits.dim(1));
        Tensor named = Tensor.scalar(DType.I32, 0).where(ignored(target), target.to(DType.I32));
        return classes.reshape(1, -1).eq(classes.gather(named).reshape(-1, 1)).to(logits.dtype());
    }

    private Tensor ignored(Tensor target) {
        return target.to(DType.I32).eq(Tensor.scalar(DType.I32, ignoreIndex));
    }

    /// 1 where a row counts, `[N, 1]`.
    Tensor counts(Tensor target, DType dtype) {
        return ignored(target).to(dtype).neg().add(1).reshape(target.dim(0), 1);
    }
}
