package dev.graft.tensor.cpu;

import dev.graft.tensor.backend.View;
import dev.graft.tensor.op.Fill;

/// [dev.graft.tensor.op.ScatterAdd] of F32. A thread owns rows of the result and goes through all indices in order, so that the order of a sum is
/// that of the rows, whoever computes it.
final class ScatterAddKernel {
    private ScatterAddKernel() {
    }

    static void run(View index, View in, View out) {
        long[] rows = GatherKernel.indices(index, out.dim(0), "scatter_add");
        FillKernel.run(new Fill(out.spec(), 0), out);
        int n = Math.toIntExact(out.shape().range(1, out.rank()).size());
        try (Temporary contiguous = Temporary.contiguous(in)) {
            View x = contiguous.view();
            Parallel.range(out.dim(0), out.dim(0) < 2 ? 1 : Math.ceilDiv(out.dim(0), Parallel.threads()), (first, last) -> {
                for (int i = 0; i < rows.length; i++) {
                    if (rows[i] < first || rows[i] >= last) continue;
                    Rows.add(x.segment(), x.byteOffset() + (long) i * n * 4, out.segment(), out.byteOffset() + rows[i] * n * 4, n);
                }
            });
        }
    }
}
