package dev.graft.cuda;

import static dev.graft.cuda.CudaKernel.Parameter.I32;
import static dev.graft.cuda.CudaKernel.Parameter.I64;
import static dev.graft.cuda.CudaKernel.Parameter.OPERAND;

import dev.graft.tensor.backend.View;
import dev.graft.tensor.op.Unary;

/// Launches unary.cu.
final class UnaryKernels {
    private static final Pair VALUE = Pair.declare("unary", I32, OPERAND, OPERAND, I64),
            GRAD = Pair.declare("unary_grad", I32, OPERAND, OPERAND, OPERAND, I64);

    private UnaryKernels() {
    }

    static void value(Unary f, View x, View y) {
        VALUE.on(x, y).i32(f.ordinal()).operand(x).operand(y).i64(y.size()).over(y.size());
    }

    static void grad(Unary f, View x, View dy, View dx) {
        GRAD.on(x, dy, dx).i32(f.ordinal()).operand(x).operand(dy).operand(dx).i64(dx.size()).over(dx.size());
    }
}
