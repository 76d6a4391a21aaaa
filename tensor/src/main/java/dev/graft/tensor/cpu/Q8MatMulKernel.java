package dev.graft.tensor.cpu;

import dev.graft.tensor.DType;
import dev.graft.tensor.backend.View;
import dev.graft.tensor.op.Q8MatMul;
import java.util.List;

/// [Q8MatMul]: the int8 blocks are widened where the product packs or streams them.
final class Q8MatMulKernel {
    private Q8MatMulKernel() {
    }

    static void run(Q8MatMul op, List<View> in, List<View> out) {
        View x = in.get(0);
        View q = in.get(1);
        View scale = in.get(2);
        View y = out.getFirst();
        Matrix scales = Matrix.f32(scale.segment(), scale.byteOffset(), scale.dim(0), scale.dim(1));
        Matrix w = Matrix.int8(q.segment(), q.byteOffset(), q.dim(0), q.dim(1), q.dim(1), scales);
        int rows = Math.toIntExact(x.rows());
        Gemm.multiply(Matrix.of(DType.F32, x.segment(), x.byteOffset(), rows, x.dim(-1), x.dim(-1), 1),
                op.transposed() ? w.transposed() : w,
                Matrix.f32(y.segment(), y.byteOffset(), rows, y.dim(-1)));
    }
}
