package dev.graft.tensor.cpu;

import dev.graft.tensor.DType;
import dev.graft.tensor.backend.View;
import dev.graft.tensor.op.Nf4MatMul;
import java.util.List;

/// [Nf4MatMul]: values are looked up where the product packs or streams them.
final class Nf4MatMulKernel {
    private Nf4MatMulKernel() {
    }

    static void run(Nf4MatMul op, List<View> in, List<View> out) {
        View x = in.get(0);
        View codes = in.get(1);
        View y = out.getFirst();
        Matrix w = Matrix.nf4(codes.segment(), codes.byteOffset(), op.rows(), op.cols(), Absmax.of(in.subList(2, in.size())));
        int rows = Math.toIntExact(x.rows());
        Gemm.multiply(Matrix.of(DType.F32, x.segment(), x.byteOffset(), rows, x.dim(-1), x.dim(-1), 1),
                op.transposed() ? w.transposed() : w,
                Matrix.f32(y.segment(), y.byteOffset(), rows, y.dim(-1)));
    }
}
