package dev.graft.tensor.op;

import dev.graft.tensor.Call;
import dev.graft.tensor.DType;
import dev.graft.tensor.Gradients;
import dev.graft.tensor.Keep;
import dev.graft.tensor.ShapeException;
import dev.graft.tensor.Spec;
import dev.graft.tensor.Tensor;
import dev.graft.tensor.Wanted;
import java.util.List;

/// Rows of a table by index: an embedding.
///
/// ```
/// y[i…] = table[index[i…]]        dtable = scatter-add of dy
/// ```
/// table: `[V, …]` of any type, index: I32 or I64 `[n…]` within 0 … V − 1, y: `[n…, …]`. An index outside is an error naming it.
public record Gather() implements Primitive {
    @Override
    public List<Spec> infer(List<Spec> in) {
        Spec table = in.get(0);
        requireIndex(in.get(1));
        if (table.shape().rank() < 1) throw new ShapeException("the table needs at least one axis");
        return List.of(table.with(in.get(1).shape().concat(table.shape().range(1, table.shape().rank()))));
    }

    @Override
    public Keep keep(Wanted wanted) {
        return Keep.inputs(1);
    }

    @Override
    public void vjp(Call c, Tensor dy, Gradients g) {
        g.of(0, () -> new ScatterAdd(c.inSpec(0).shape().dim(0)).apply(c.in(1), dy));
        g.none(1);
    }

    static void requireIndex(Spec index) {
        if (index.dtype() != DType.I32 && index.dtype() != DType.I64) throw new ShapeException("indices must be i32 or i64, got " + index);
    }
}
