package dev.graft.tensor.cpu;

import dev.graft.tensor.backend.View;
import dev.graft.tensor.op.Cat;
import java.util.List;

/// [Cat]: each part is copied to its place.
final class CatKernel {
    private CatKernel() {
    }

    static void run(Cat op, List<View> in, View out) {
        int from = 0;
        for (View part : in) {
            int to = from + part.dim(op.axis());
            CopyKernel.run(part, out.slice(op.axis(), from, to));
            from = to;
        }
    }
}
