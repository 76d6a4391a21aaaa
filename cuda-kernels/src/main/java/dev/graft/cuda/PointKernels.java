package dev.graft.cuda;

import static dev.graft.cuda.CudaKernel.Parameter.F32;
import static dev.graft.cuda.CudaKernel.Parameter.I32;
import static dev.graft.cuda.CudaKernel.Parameter.I64;
import static dev.graft.cuda.CudaKernel.Parameter.POINTER;

import dev.graft.tensor.DType;
import dev.graft.tensor.backend.View;
import dev.graft.tensor.op.Rope;
import dev.graft.tensor.op.SwiGlu;
import dev.graft.tensor.op.SwiGluGrad;
import java.util.List;

/// Launches rope.cu and swiglu.cu.
final class PointKernels {
    private static final CudaKernel ROPE = CudaKernel.declare("rope_f32", POINTER, POINTER, POINTER, POINTER, I32, POINTER, I64, I32, I32,
            I32, I32, I32, F32, POINTER),
            SWIGLU = CudaKernel.declare("swiglu_f32", POINTER, POINTER, POINTER, I64),
            SWIGLU_GRAD = CudaKernel.declare("swiglu_grad_f32", POINTER, POINTER, POINTER, POINTER, POINTER, I64);

    private PointKernels() {
    }

    static void rope(Rope op, List<View> in, List<View> out) {
        View x = in.get(0), cos = in.get(1), position = in.get(3), y = out.getFirst();
        ROPE.on(Temporary.device(y)).pointer(x).pointer(cos).pointer(in.get(2)).pointer(position).i32(position.dtype() == DType.I64 ? 1 : 0)
                .pointer(y).i64((long) x.dim(0) * x.dim(1)).i32(x.dim(2))
                .i32(x.dim(3)).i32(cos.dim(1)).i32(cos.dim(0)).i32(op.interleaved() ? 1 : 0).f32(op.inverse() ? -1 : 1).fault()
                .over(y.size());
    }

    static void swiGlu(SwiGlu op, List<View> in, List<View> out) {
        View y = out.getFirst();
        SWIGLU.on(Temporary.device(y)).pointer(in.get(0)).pointer(in.get(1)).pointer(y).i64(y.size()).over(y.size());
    }

    static void swiGluGrad(SwiGluGrad op, List<View> in, List<View> out) {
        View dgate = out.get(0);
        SWIGLU_GRAD.on(Temporary.device(dgate)).pointer(in.get(0)).pointer(in.get(1)).pointer(in.get(2)).pointer(dgate).pointer(out.get(1))
                .i64(dgate.size()).over(dgate.size());
    }
}
