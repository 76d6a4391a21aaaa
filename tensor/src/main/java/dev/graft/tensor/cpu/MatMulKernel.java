package dev.graft.tensor.cpu;

import dev.graft.tensor.Shape;
import dev.graft.tensor.backend.View;
import dev.graft.tensor.op.MatMul;

/// [MatMul]: what lies in the leading axes becomes one product where it can, else a batch of them.
final class MatMulKernel {
    private MatMulKernel() {
    }

    static void run(MatMul op, View a, View b, View out) {
        if (b.rank() == 2 && !op.transposeA() && a.rank() > 2 && isStack(a)) {  // one weight for all rows
            int rows = Math.toIntExact(out.rows());
            Matrix left = Matrix.of(a.dtype(), a.segment(), a.byteOffset(), rows, a.dim(-1), rowStride(a), a.stride(-1));
            Gemm.multiply(left, matrix(b, 0, op.transposeB()),
                    Matrix.of(out.dtype(), out.segment(), out.byteOffset(), rows, out.dim(-1), out.dim(-1), 1));
            return;
        }
        Shape batch = out.shape().range(0, out.rank() - 2);
        View x = a.expand(batch.concat(a.shape().range(a.rank() - 2, a.rank())));
        View w = b.expand(batch.concat(b.shape().range(b.rank() - 2, b.rank())));
        Gemm.batch(Math.toIntExact(batch.size()),
                i -> new Gemm.Product(matrix(x, at(x, batch, i), op.transposeA()), matrix(w, at(w, batch, i), op.transposeB()),
                        matrix(out, at(out, batch, i), false)),
                Epilogue.PLAIN);
    }

    /// Whether the rows of all matrices are evenly spaced, so that the leading axes are only more rows.
    private static boolean isStack(View v) {
        long next = rowStride(v);
        for (int axis = v.rank() - 2; axis >= 0; axis--) {
            if (v.dim(axis) == 1) continue;
            if (v.stride(axis) != next) return false;
            next *= v.dim(axis);
        }
        return true;
    }

    /// From one row to the next, be it in the next matrix.
    private static long rowStride(View v) {
        for (int axis = v.rank() - 2; axis >= 0; axis--) if (v.dim(axis) != 1) return v.stride(axis);
        return v.dim(-1);
    }

    private static Matrix matrix(View v, long offset, boolean transposed) {
        Matrix m = Matrix.of(v.dtype(), v.segment(), v.byteOffset() + offset * v.dtype().bytes(), v.dim(-2), v.dim(-1), v.stride(-2),
                v.stride(-1));
        return transposed ? m.transposed() : m;
    }

    /// Elements to the i-th matrix of the batch.
    private static long at(View v, Shape batch, int i) {
        long at = 0;
        for (int axis = batch.rank() - 1; axis >= 0; axis--) {
            at += i % batch.dim(axis) * v.stride(axis);
            i /= batch.dim(axis);
        }
        return at;
    }
}
