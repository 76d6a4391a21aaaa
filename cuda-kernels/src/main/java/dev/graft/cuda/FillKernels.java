package dev.graft.cuda;

import static dev.graft.cuda.CudaKernel.Parameter.F32;
import static dev.graft.cuda.CudaKernel.Parameter.F64;
import static dev.graft.cuda.CudaKernel.Parameter.I64;
import static dev.graft.cuda.CudaKernel.Parameter.OPERAND;
import static dev.graft.cuda.CudaKernel.Parameter.POINTER;

import dev.graft.tensor.backend.View;
import dev.graft.tensor.op.Dropout;
import dev.graft.tensor.op.Fill;
import dev.graft.tensor.op.Perturb;
import dev.graft.tensor.op.Random;
import dev.graft.tensor.op.Range;
import java.util.List;

/// Launches fill.cu and random.cu.
final class FillKernels {
    private static final CudaKernel FILL = CudaKernel.declare("fill", F64, OPERAND, I64),
            RANGE = CudaKernel.declare("range", F64, F64, OPERAND, I64),
            UNIFORM = CudaKernel.declare("random_uniform", I64, I64, OPERAND, I64),
            NORMAL = CudaKernel.declare("random_normal", I64, I64, OPERAND, I64),
            DROPOUT = CudaKernel.declare("dropout_f32", I64, I64, F32, POINTER, POINTER, I64),
            PERTURB = CudaKernel.declare("perturb", I64, F32, F32, OPERAND, OPERAND, I64);

    private FillKernels() {
    }

    static void fill(Fill op, View y) {
        boolean isZeros = Double.doubleToRawLongBits(op.value()) == 0;
        if (isZeros && y.isContiguous() && y.size() > 0) Temporary.device(y).zero(Launch.address(y), y.spec().bytes());
        else FILL.on(Temporary.device(y)).f64(op.value()).operand(y).i64(y.size()).over(y.size());
    }

    static void range(Range op, View y) {
        RANGE.on(Temporary.device(y)).f64(op.start()).f64(op.step()).operand(y).i64(y.size()).over(y.size());
    }

    static void random(Random op, View y) {
        (op.law() == Random.Law.UNIFORM ? UNIFORM : NORMAL).on(Temporary.device(y)).i64(op.seed()).i64(op.start()).operand(y).i64(y.size())
                .over(y.size());
    }

    static void dropout(Dropout op, List<View> in, List<View> out) {
        View x = in.getFirst(), y = out.getFirst();
        long least = (long) Math.ceil((float) op.p() * 0x1p24);                 // u ≥ p for u = k · 2⁻²⁴ is k ≥ least
        DROPOUT.on(Temporary.device(y)).i64(op.seed()).i64(least).f32(1 / (1 - op.p())).pointer(x).pointer(y).i64(y.size()).over(y.size());
    }

    static void perturb(Perturb op, List<View> in, List<View> out) {
        View x = in.getFirst(), y = out.getFirst();
        PERTURB.on(Temporary.device(y)).i64(op.seed()).f32(op.scale()).f32(op.size()).operand(x).operand(y).i64(y.size()).over(y.size());
    }
}
