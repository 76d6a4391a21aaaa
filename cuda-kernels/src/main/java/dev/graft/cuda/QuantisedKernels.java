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
import java.util.function.Consumer;

/// Launches gemv.cu and gemm_quantised.cu with weights in few bits, and quantised.cu where they are made F32 first, whole: where many rows are multiplied, and by more than a few where its own rows are no multiple of 16 numbers (Q8), or 64 (NF4).
final class QuantisedKernels {
    private static final Parameter ABSMAX = Parameter.struct(40);
    private static final CudaKernel Q8 = CudaKernel.declare("q8_dequantize", POINTER, POINTER, POINTER, I64, I32),
            NF4 = CudaKernel.declare("nf4_dequantize", POINTER, ABSMAX, POINTER, I64),
            GEMV_Q8_1 = CudaKernel.declare("gemv_q8_1", POINTER, POINTER, POINTER, POINTER, I32, I32, I32),
            GEMV_Q8_8 = CudaKernel.declare("gemv_q8_8", POINTER, POINTER, POINTER, POINTER, I32, I32, I32),
            GEMV_NF4_1 = CudaKernel.declare("gemv_nf4_1", POINTER, POINTER, ABSMAX, POINTER, I32, I32, I32),
            GEMV_NF4_8 = CudaKernel.declare("gemv_nf4_8", POINTER, POINTER, ABSMAX, POINTER, I32, I32, I32),
            GEMM_Q8_NT = gemm("gemm_q8_nt", 1, POINTER), GEMM_Q8_NN = gemm("gemm_q8_nn", 3, POINTER),
            GEMM_NF4_NT = gemm("gemm_nf4_nt", 3, ABSMAX), GEMM_NF4_NN = gemm("gemm_nf4_nn", 3, ABSMAX);
    private static final int TILE = 64, FEW_ROWS = MatMulKernels.FEW_ROWS;

    /// From how many rows on a weight is made F32, if there is a faster product than by `mma.sync` then. Counted for an H200, not measured: 15 bytes more are moved for each number of the weight, 3.1 ps, and
    /// the six products of bf16 take 9 fs less for each row (790 TFLOP/s beside 490); so 340 rows, in whole tiles. With Q8 a layer needs but three products, which are never slower than six that are faster.
    private static final int MANY_ROWS = 384;

    private QuantisedKernels() {
    }

    /// @param weights bf16 planes of the weight in shared memory
    private static CudaKernel gemm(String name, int weights, Parameter scales) {
        int stage = (3 + weights) * TILE * (32 + 8) * 2 + TILE * 4;
        return CudaKernel.declareShared(name, 2 * stage, Planes.STRUCT, POINTER, scales, POINTER, I32, I32, I32);
    }

    static void q8MatMul(Q8MatMul op, List<View> in, List<View> out) {
        View x = in.get(0), q = in.get(1), scale = in.get(2), y = out.getFirst();
        if (y.size() == 0) return;
        Device device = Temporary.device(y);
        int n = q.dim(0), k = q.dim(1), rows = Math.toIntExact(x.rows());
        boolean isOfChunks = k % 16 == 0 && Launch.address(q) % 16 == 0;
        if (op.transposed() && rows <= FEW_ROWS) {
            (rows == 1 ? GEMV_Q8_1 : GEMV_Q8_8).on(device).pointer(x).pointer(q).pointer(scale).pointer(y).i32(rows).i32(n).i32(k)
                    .run(Math.ceilDiv(n, 32), 1, 1, 256);
        } else if (isOfChunks && canFuse(x) && (op.transposed() || !isUnpackingFaster(rows, device))) {
            fused(op.transposed() ? GEMM_Q8_NT : GEMM_Q8_NN, x, launch -> launch.pointer(q).pointer(scale), y);
        } else {
            try (Temporary w = Temporary.of(device, new Spec(q.shape(), DType.F32))) {
                Q8.on(device).pointer(q).pointer(scale).pointer(w.view()).i64(n).i32(k).over(q.size());
                product(op.transposed(), x, w.view(), y);
            }
        }
    }

    static void nf4MatMul(Nf4MatMul op, List<View> in, List<View> out) {
        View x = in.get(0), y = out.getFirst();
        if (y.size() == 0) return;
        Device device = Temporary.device(y);
        List<View> weight = in.subList(1, in.size());
        int rows = Math.toIntExact(x.rows());
        boolean isOfBlocks = op.cols() % Nf4.BLOCK == 0;
        if (op.transposed() && rows <= FEW_ROWS && isOfBlocks) {
            Launch launch = (rows == 1 ? GEMV_NF4_1 : GEMV_NF4_8).on(device).pointer(x).pointer(weight.getFirst());
            write(launch, device, weight);
            launch.pointer(y).i32(rows).i32(op.rows()).i32(op.cols()).run(Math.ceilDiv(op.rows(), 32), 1, 1, 256);
        } else if (isOfBlocks && Launch.address(weight.getFirst()) % 8 == 0 && canFuse(x) && !isUnpackingFaster(rows, device)) {
            fused(op.transposed() ? GEMM_NF4_NT : GEMM_NF4_NN, x, launch -> write(launch.pointer(weight.getFirst()), device, weight), y);
        } else {
            try (Temporary w = Temporary.of(device, Spec.of(DType.F32, op.rows(), op.cols()))) {
                dequantize(device, weight, w.view());
                product(op.transposed(), x, w.view(), y);
            }
        }
    }

    /// Whether a weight of aligned rows can be multiplied as it is.
    private static boolean canFuse(View x) {
        return x.dim(-1) > 0 && x.rows() <= Planes.MOST_ROWS;
    }

    private static boolean isUnpackingFaster(int rows, Device device) {
        return rows >= MANY_ROWS && MatMulKernels.hasFasterThanMma(device);
    }

    private static void fused(CudaKernel kernel, View x, Consumer<Launch> weight, View y) {
        int m = Math.toIntExact(x.rows()), k = x.dim(-1), n = y.dim(-1);
        try (Planes planes = Planes.of(new Matrices(x.reshape(Shape.of(m, k))), Shape.SCALAR)) {
            Launch launch = kernel.on(Temporary.device(y));
            planes.write(launch.struct(Planes.STRUCT));
            weight.accept(launch);
            launch.pointer(y).i32(m).i32(n).i32(k).run(Math.ceilDiv(n, TILE), Math.ceilDiv(m, TILE), 1, 128);
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
