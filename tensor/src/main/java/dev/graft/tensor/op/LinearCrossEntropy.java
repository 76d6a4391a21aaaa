package dev.graft.tensor.op;

import dev.graft.tensor.Call;
import dev.graft.tensor.Gradients;
import dev.graft.tensor.Keep;
import dev.graft.tensor.Scope;
import dev.graft.tensor.Shape;
import dev.graft.tensor.ShapeException;
import dev.graft.tensor.Spec;
import dev.graft.tensor.Tape;
import dev.graft.tensor.Tensor;
import dev.graft.tensor.Wanted;
import java.util.ArrayList;
import java.util.List;

/// Cross-entropy of an output layer, without ever holding all logits (the idea of Hsu et al. 2024, Liger Kernel, arXiv:2410.10989).
///
/// ```
/// loss = cross_entropy(x Wᵀ, target)        dx = dlogits W        dW = dlogitsᵀ x
/// ```
/// x: `[N, C]`, W: `[V, C]` in any floating type, target: I32 or I64 `[N]`, loss: `[N]`. Rows are taken in chunks of about 4 million logits. Since a row's
/// gradient is linear in its `dy`, a pass that will be differentiated computes `dx` for `dy = 1` along the way (second output), which saves
/// the product a second pass over the logits would cost.
public record LinearCrossEntropy(int ignoreIndex, boolean differentiated) implements Composite {
    private static final int CHUNK = 1 << 22;

    public static Tensor of(Tensor x, Tensor weight, Tensor target, int ignoreIndex) {
        Tape tape = Tape.recording();
        return new LinearCrossEntropy(ignoreIndex, tape != null && tape.tracks(x)).apply(x, weight, target);
    }

    @Override
    public List<Spec> infer(List<Spec> in) {
        Shape x = in.get(0).shape();
        Shape w = in.get(1).shape();
        if (x.rank() != 2 || w.rank() != 2 || x.dim(1) != w.dim(1)) throw new ShapeException("x must be [N, C] and the weight [V, C]");
        if (!in.get(2).shape().equals(Shape.of(x.dim(0)))) throw new ShapeException("targets must be [N]");
        Gather.requireIndex(in.get(2));
        Spec loss = in.get(0).with(Shape.of(x.dim(0)));
        return differentiated ? List.of(loss, in.get(0)) : List.of(loss);
    }

    @Override
    public Tensor define(List<Tensor> in) {
        return defineAll(in).getFirst();
    }

    @Override
    public List<Tensor> defineAll(List<Tensor> in) {
        Tensor weight = in.get(1);
        List<Tensor> losses = new ArrayList<>();
        List<Tensor> gradients = new ArrayList<>();
        for (Chunk chunk : chunks(in)) {
            Scope outer = Scope.enclosing();
            try (var _ = Scope.open()) {
                Tensor logits = chunk.x.matmulT(weight);                        // [n, V]
                List<Tensor> loss = new CrossEntropy(ignoreIndex).applyAll(logits, chunk.target);
                losses.add(outer.keep(loss.getFirst()));
                if (differentiated) {
                    Tensor one = Tensor.ones(loss.getFirst().spec());
                    gradients.add(
                            outer.keep(new CrossEntropyGrad(ignoreIndex).apply(logits, chunk.target, loss.get(1), one).matmul(weight)));
                }
            }
        }
        Tensor loss = Tensor.cat(0, losses.toArray(Tensor[]::new));
        return differentiated ? List.of(loss, Tensor.cat(0, gradients.toArray(Tensor[]::new))) : List.of(loss);
    }

    @Override
    public Keep keep(Wanted wanted) {
        Keep keep = differentiated ? Keep.outputs(1) : Keep.NOTHING;
        return wanted.input(1) ? keep.and(Keep.inputs(0, 1, 2)) : keep;
    }

    @Override
    public void vjp(Call c, Tensor dy, Gradients g) {
        g.of(0, () -> c.out(1).mul(dy.unsqueeze(1)));
        g.of(1, () -> {
            Tensor weight = c.in(1);
            Tensor sum = null;
            int from = 0;
            for (Chunk chunk : chunks(List.of(c.in(0), weight, c.in(2)))) {
                int to = from + chunk.x.dim(0);
                Tensor part = dy.slice(0, from, to);
                Tensor before = sum;
                sum = Scope.result(() -> {
                    Tensor logits = chunk.x.matmulT(weight);
                    Tensor lse = new CrossEntropy(ignoreIndex).applyAll(logits, chunk.target).get(1);
                    Tensor dw = new CrossEntropyGrad(ignoreIndex).apply(logits, chunk.target, lse, part).tMatmul(chunk.x);
                    return before == null ? dw : before.add(dw);
                });
                from = to;
            }
            return sum;
        });
        g.none(2);
    }

    private record Chunk(Tensor x, Tensor target) {
    }

    private static List<Chunk> chunks(List<Tensor> in) {
        int rows = in.get(0).dim(0);
        int step = Math.max(1, CHUNK / Math.max(1, in.get(1).dim(0)));
        List<Chunk> chunks = new ArrayList<>();
        for (int from = 0; from < rows || from == 0; from += step) {
            int to = Math.min(rows, from + step);
            chunks.add(new Chunk(in.get(0).slice(0, from, to), in.get(2).slice(0, from, to)));
        }
        return chunks;
    }
}
