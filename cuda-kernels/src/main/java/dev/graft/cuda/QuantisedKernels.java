package dev.graft.cuda;

import static dev.graft.cuda.CudaKernel.Parameter.I32;
import static dev.graft.cuda.CudaKernel.Parameter.I64;
import static dev.graft.cuda.CudaKernel.Parameter.POINTER;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import dev.graft.cuda.CudaKernel.Parameter;
import dev.graft.tensor.DType;
import dev.graft.tensor.Shape;
import dev.graft.tensor.Spec;
import dev.graft.tensor.backend.View;
import dev.graft.tensor.op.MatMul;
import dev.graft.tensor.op.Nf4;
import dev.graft.tensor.op.Nf4Dequantize;
import dev.graft.tensor.op.Nf4MatMul;
import dev.graft.tensor.op.Q8MatMul;
import java.lang.foreign.MemorySegment;
import java.util.List;

/// Launches quantised.cu, and gemv.cu with weights in few bits. A few rows are multiplied with a weight as it is; for more it is made F32, whole.
final class QuantisedKernels {
    private static final Parameter ABSMAX = Parameter.struct(40);
    private static final CudaKernel Q8 = CudaKernel.declare("q8_dequantize", POINTER, POINTER, POINTER, I64, I32),
            NF4 = CudaKernel.declare("nf4_dequantize", POINTER, ABSMAX, POINTER, I64),
            GEMV_Q8_1 = CudaKernel.declare("gemv_q8_1", POINTER, POINTER, POINTER, POINTER, I32, I32, I32),
            GEMV_Q8_8 = CudaKernel.declare("gemv_q8_8", POINTER, POINTER, POINTER, POINTER, I32, I32, I32),
            GEMV_NF4_1 = CudaKernel.declare("gemv_nf4_1", POINTER, POINTER, ABSMAX, POINTER, I32, I32, I32),
            GEMV_NF4_8 = CudaKernel.declare("gemv_nf4_8", POINTER, POINTER, ABSMAX, POINTER, I32, I32, I32);
    private static final int FEW_ROWS = MatMulKernels.FEW_ROWS;

    private QuantisedKernels() {
    }

    static void q8MatMul(Q8MatMul op, List<View> in, List<View> out) {
        View x = in.get(0), q = in.get(1), scale = in.get(2), y = out.getFirst();
        Device device = Temporary.device(y);
        int n = q.dim(0), k = q.dim(1), rows = Math.toIntExact(x.rows());
        if (op.transposed() && rows <= FEW_ROWS && rows > 0) {
            (rows == 1 ? GEMV_Q8_1 : GEMV_Q8_8).on(device).pointer(x).pointer(q).pointer(scale).pointer(y).i32(rows).i32(n).i32(k)
                    .run(Math.ceilDiv(n, 8), 1, 1, 256);
            return;
        }
        try (Temporary w = Temporary.of(device, new Spec(q.shape(), DType.F32))) {
            Q8.on(device).pointer(q).pointer(scale).pointer(w.view()).i64(n).i32(k).over(q.size());
            product(op.transposed(), x, w.view(), y);
        }
    }

    static void nf4MatMul(Nf4MatMul op, List<View> in, List<View> out) {
        View x = in.get(0), y = out.getFirst();
        Device device = Temporary.device(y);
        List<View> weight = in.subList(1, in.size());
        int rows = Math.toIntExact(x.rows());
        if (op.transposed() && rows <= FEW_ROWS && rows > 0 && op.cols() % Nf4.BLOCK == 0) {
            Launch launch = (rows == 1 ? GEMV_NF4_1 : GEMV_NF4_8).on(device).pointer(x).pointer(weight.getFirst());
            write(launch, device, weight);
            launch.pointer(y).i32(rows).i32(op.rows()).i32(op.cols()).run(Math.ceilDiv(op.rows(), 8), 1, 1, 256);
            return;
        }
        try (Temporary w = Temporary.of(device, Spec.of(DType.F32, op.rows(), op.cols()))) {
            dequantize(device, weight, w.view());
            product(op.transposed(), x, w.view(), y);
        }
    }

    static void nf4Dequantize(Nf4Dequantize op, List<View> in, List<View> out) {
        dequantize(Temporary.device(out.getFirst()), in, out.getFirst());
    }

    private static void product(boolean isTransposed, View x, View w, View y) {
        int rows = Math.toIntExact(x.rows());
        MatMulKernels.run(new MatMul(false, isTransposed), x.reshape(Shape.of(rows, x.dim(-1))), w, y.reshape(Shape.of(rows, y.dim(-1))));
    }

    private static void dequantize(Device device, List<View> weight, View to) {
        Launch launch = NF4.on(device).pointer(weight.getFirst());
        write(launch, device, weight);
        launch.pointer(to).i64(to.size()).over(to.size());
    }

    /// As `Absmax` has it.
    ///
    /// @param weight codes, absmax; or codes, absmax, nested, offset
    private static void write(Launch launch, Device device, List<View> weight) {
        MemorySegment to = launch.struct(ABSMAX);
        boolean isNested = weight.size() > 2;
        long[] addresses = new long[5];
        addresses[isNested ? 1 : 0] = Launch.address(weight.get(1));
        if (isNested) {
            addresses[2] = Launch.address(weight.get(2));
            addresses[3] = Launch.address(weight.get(3));
            addresses[4] = device.constant("nf4 scales", () -> MemorySegment.ofArray(Nf4.dynamicValues()));
        }
        for (int i = 0; i < 5; i++) to.setAtIndex(JAVA_LONG, i, addresses[i]);
    }
}
