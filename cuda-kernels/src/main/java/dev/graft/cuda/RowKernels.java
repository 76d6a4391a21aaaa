package dev.graft.cuda;

import static dev.graft.cuda.CudaKernel.Parameter.F32;
import static dev.graft.cuda.CudaKernel.Parameter.I32;
import static dev.graft.cuda.CudaKernel.Parameter.I64;
import static dev.graft.cuda.CudaKernel.Parameter.POINTER;

import dev.graft.cuda.CudaKernel.Parameter;
import dev.graft.tensor.DType;
import dev.graft.tensor.backend.View;
import dev.graft.tensor.op.CrossEntropy;
import dev.graft.tensor.op.CrossEntropyGrad;
import dev.graft.tensor.op.Cumsum;
import dev.graft.tensor.op.LayerNorm;
import dev.graft.tensor.op.LayerNormGrad;
import dev.graft.tensor.op.LogSoftmax;
import dev.graft.tensor.op.RmsNorm;
import dev.graft.tensor.op.RmsNormGrad;
import dev.graft.tensor.op.Softmax;
import java.util.List;

/// Launches softmax.cu, rms_norm.cu, layer_norm.cu, cross_entropy.cu and cumsum.cu: what goes over rows.
final class RowKernels {
    /// For long rows a block each, for short ones a warp.
    private record ByLength(CudaKernel ofBlocks, CudaKernel ofWarps) {
        private static final int SHORT = 1024;

        static ByLength declare(String name, Parameter... parameters) {
            return new ByLength(CudaKernel.declare(name + "_f32", parameters), CudaKernel.declare(name + "_short_f32", parameters));
        }

        /// @param rows whose last axis is the row
        Launch on(View rows) {
            return (rows.dim(-1) <= SHORT ? ofWarps : ofBlocks).on(Temporary.device(rows));
        }

        static void run(Launch launch, View rows) {
            launch.rows(rows.rows(), rows.dim(-1) <= SHORT);
        }
    }

    private static final ByLength SOFTMAX = ByLength.declare("softmax", POINTER, POINTER, I64, I32),
            LOG_SOFTMAX = ByLength.declare("log_softmax", POINTER, POINTER, I64, I32),
            RMS_NORM = ByLength.declare("rms_norm", POINTER, POINTER, POINTER, POINTER, I64, I32, F32),
            RMS_NORM_GRAD = ByLength.declare("rms_norm_grad", POINTER, POINTER, POINTER, POINTER, POINTER, I64, I32),
            LAYER_NORM = ByLength.declare("layer_norm", POINTER, POINTER, POINTER, POINTER, POINTER, POINTER, I64, I32, F32),
            LAYER_NORM_GRAD = ByLength.declare("layer_norm_grad", POINTER, POINTER, POINTER, POINTER, POINTER, POINTER, I64, I32);
    private static final CudaKernel CROSS_ENTROPY = CudaKernel.declare("cross_entropy_f32", POINTER, POINTER, I32, POINTER, POINTER, I32,
            I32, POINTER),
            CROSS_ENTROPY_GRAD = CudaKernel.declare("cross_entropy_grad_f32", POINTER, POINTER, I32, POINTER, POINTER, POINTER, I32, I32,
                    POINTER);

    private static final CudaKernel CUMSUM = CudaKernel.declare("cumsum_f32", POINTER, POINTER, I32, I32);

    private RowKernels() {
    }

    static void cumsum(Cumsum op, List<View> in, List<View> out) {
        View y = out.getFirst();
        if (y.size() > 0)
            CUMSUM.on(Temporary.device(y)).pointer(in.getFirst()).pointer(y).i32(y.dim(-1)).i32(op.reverse() ? 1 : 0).rows(y.rows(), false);
    }

    static void softmax(Softmax op, List<View> in, List<View> out) {
        softmax(SOFTMAX, in.getFirst(), out.getFirst());
    }

    static void logSoftmax(LogSoftmax op, List<View> in, List<View> out) {
        softmax(LOG_SOFTMAX, in.getFirst(), out.getFirst());
    }

    private static void softmax(ByLength kernel, View x, View y) {
        ByLength.run(kernel.on(y).pointer(x).pointer(y).i64(y.rows()).i32(y.dim(-1)), y);
    }

    static void rmsNorm(RmsNorm op, List<View> in, List<View> out) {
        View y = out.get(0);
        ByLength.run(RMS_NORM.on(y).pointer(in.get(0)).pointer(in.get(1)).pointer(y).pointer(out.get(1)).i64(y.rows()).i32(y.dim(-1))
                .f32(op.eps()), y);
    }

    static void rmsNormGrad(RmsNormGrad op, List<View> in, List<View> out) {
        View dx = out.getFirst();
        ByLength.run(pointers(RMS_NORM_GRAD.on(dx), in).pointer(dx).i64(dx.rows()).i32(dx.dim(-1)), dx);
    }

    static void layerNorm(LayerNorm op, List<View> in, List<View> out) {
        View y = out.get(0);
        ByLength.run(pointers(pointers(LAYER_NORM.on(y), in), out).i64(y.rows()).i32(y.dim(-1)).f32(op.eps()), y);
    }

    static void layerNormGrad(LayerNormGrad op, List<View> in, List<View> out) {
        View dx = out.getFirst();
        ByLength.run(pointers(LAYER_NORM_GRAD.on(dx), in).pointer(dx).i64(dx.rows()).i32(dx.dim(-1)), dx);
    }

    private static Launch pointers(Launch launch, List<View> views) {
        views.forEach(launch::pointer);
        return launch;
    }

    static void crossEntropy(CrossEntropy op, List<View> in, List<View> out) {
        View x = in.get(0);
        if (x.dim(0) == 0) return;
        CROSS_ENTROPY.on(Temporary.device(x)).pointer(x).pointer(in.get(1)).i32(isLong(in.get(1))).pointer(out.get(0)).pointer(out.get(1))
                .i32(x.dim(1)).i32(op.ignoreIndex()).fault()
                .run(x.dim(0), 1, 1, 256);
    }

    static void crossEntropyGrad(CrossEntropyGrad op, List<View> in, List<View> out) {
        View x = in.get(0);
        if (x.dim(0) == 0) return;
        CROSS_ENTROPY_GRAD.on(Temporary.device(x)).pointer(x).pointer(in.get(1)).i32(isLong(in.get(1))).pointer(in.get(2))
                .pointer(in.get(3)).pointer(out.getFirst()).i32(x.dim(1))
                .i32(op.ignoreIndex()).fault().run(x.dim(0), 1, 1, 256);
    }

    private static int isLong(View index) {
        return index.dtype() == DType.I64 ? 1 : 0;
    }
}
