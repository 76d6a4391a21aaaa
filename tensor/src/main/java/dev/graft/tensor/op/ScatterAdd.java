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

/// Rows added into a table of zeros; what an index names twice adds up, in the order of the rows.
///
/// ```
/// y[v] = Σ over i with index[i] = v of x[i]        dx = rows of dy
/// ```
/// index: I32 or I64 `[n…]`, x: `[n…, …]`, y: `[rows, …]`.
public record ScatterAdd(int rows) implements Primitive {
    @Override
    public List<Spec> infer(List<Spec> in) {
        Shape index = in.get(0).shape();
        Shape x = in.get(1).shape();
        Gather.requireIndex(in.get(0));
        if (x.rank() < index.rank() || !x.range(0, index.rank()).equals(index)) {
            throw new ShapeException("x must begin with the shape of the indices, " + index);
        }
        return List.of(in.get(1).with(Shape.of(rows).concat(x.range(index.rank(), x.rank()))));
    }

    @Override
    public Keep keep(Wanted wanted) {
        return Keep.inputs(0);
    }

    @Override
    public void vjp(Call c, Tensor dy, Gradients g) {
        g.none(0);
        g.of(1, () -> dy.gather(c.in(0)));
    }
}
