package dev.graft.cuda;

import static dev.graft.cuda.CudaKernel.Parameter.F32;
import static dev.graft.cuda.CudaKernel.Parameter.F64;
import static dev.graft.cuda.CudaKernel.Parameter.I32;
import static dev.graft.cuda.CudaKernel.Parameter.I64;
import static dev.graft.cuda.CudaKernel.Parameter.OPERAND;

import dev.graft.tensor.backend.View;
import dev.graft.tensor.op.Affine;
import dev.graft.tensor.op.Binary;

/// Launches binary.cu, affine.cu and where.cu.
final class BinaryKernels {
    private static final Pair BINARY = Pair.declare("binary", I32, OPERAND, OPERAND, OPERAND, I64);
    private static final CudaKernel AFFINE_F32 = CudaKernel.declare("affine_f32", F32, F32, OPERAND, OPERAND, I64),
            AFFINE_F64 = CudaKernel.declare("affine_f64", F64, F64, OPERAND, OPERAND, I64),
            WHERE = CudaKernel.declare("where_any", I32, OPERAND, OPERAND, OPERAND, OPERAND, I64);

    private BinaryKernels() {
    }

    static void binary(Binary f, View a, View b, View y) {
        BINARY.on(a, b, y).i32(f.ordinal()).operand(a.expand(y.shape())).operand(b.expand(y.shape())).operand(y).i64(y.size())
                .over(y.size());
    }

    static void affine(Affine op, View x, View y) {
        Device device = Temporary.device(y);
        if (Pair.isSingle(x.dtype()))
            AFFINE_F32.on(device).f32(op.scale()).f32(op.shift()).operand(x).operand(y).i64(y.size()).over(y.size());
        else
            AFFINE_F64.on(device).f64(op.scale()).f64(op.shift()).operand(x).operand(y).i64(y.size()).over(y.size());
    }

    static void where(View condition, View a, View b, View y) {
        WHERE.on(Temporary.device(y)).i32(y.dtype().bytes()).operand(condition.expand(y.shape())).operand(a.expand(y.shape()))
                .operand(b.expand(y.shape())).operand(y).i64(y.size())
                .over(y.size());
    }
}
