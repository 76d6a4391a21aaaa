package dev.graft.tensor.op;

import dev.graft.tensor.Keep;
import dev.graft.tensor.Spec;
import dev.graft.tensor.Wanted;
import dev.graft.tensor.backend.View;
import java.util.List;

/// Another look at the input's memory: nothing is computed or copied, and writing to one writes to the other.
public sealed interface ViewOp extends Op permits Reshape, Permute, Slice, Expand {

    View view(View in);

    @Override
    default List<Spec> infer(List<Spec> in) {
        return List.of(infer(in.getFirst()));
    }

    Spec infer(Spec in);

    @Override
    default Keep keep(Wanted wanted) {
        return Keep.NOTHING;
    }
}
