package dev.graft.cuda;

import static dev.graft.cuda.CudaKernel.Parameter.I32;
import static dev.graft.cuda.CudaKernel.Parameter.I64;
import static dev.graft.cuda.CudaKernel.Parameter.OPERAND;
import static dev.graft.cuda.CudaKernel.Parameter.POINTER;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import dev.graft.cuda.CudaKernel.Parameter;
import dev.graft.cuda.driver.Blas;
import dev.graft.tensor.DType;
import dev.graft.tensor.Shape;
import dev.graft.tensor.Spec;
import dev.graft.tensor.backend.View;
import dev.graft.tensor.op.AddMm;
import dev.graft.tensor.op.MatMul;
import dev.graft.tensor.op.Reduce;
import java.lang.foreign.MemorySegment;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/// Launches matmul.cu, gemv.cu, planes.cu, gemm_mma.cu and gemm_wgmma.cu, or calls cuBLAS in the last two's place: chooses among them.
final class MatMulKernels {
    private static final Parameter MATRICES = Parameter.struct(OPERAND.size() + 16),
            AFTER = Parameter.struct(16), TENSOR_MAP = new Parameter(128, 64), STEPS = new Parameter(8, 4);
    private static final CudaKernel MATMUL_F32 = CudaKernel.declare("matmul_f32", MATRICES, MATRICES, POINTER, AFTER, I32, I32, I32, I64,
            I32),
            MATMUL_F64 = CudaKernel.declare("matmul_f64", MATRICES, MATRICES, POINTER, I32, I32, I32, I64, I32),
            GEMM = CudaKernel.declareShared("gemm_mma", 3 * 2 * 128 * (32 + 8) * 2, Planes.STRUCT, Planes.STRUCT, POINTER, AFTER, I32, I32,
                    I32,
                    I32,
                    I32, I64),
            WGMMA = CudaKernel.declareShared("gemm_wgmma", 4 * 2 * 128 * 64 * 2, TENSOR_MAP, TENSOR_MAP, STEPS, STEPS, POINTER, AFTER,
                    I32, I32, I32, I32, I32);
    private static final Map<DType, CudaKernel> GEMV_1 = gemv("_1"), GEMV_8 = gemv("_8");
    private static final int MOST_BLOCKS = 65_535;

    /// From how many rows, columns and terms on tensor cores make a product.
    private static final int LEAST_ROWS = 32, LEAST_COLUMNS = 32, LEAST_TERMS = 16;

    /// Terms that are worth a block of their own.
    private static final int LEAST_PART = 256;

    /// Rows that a weight is read once for.
    static final int FEW_ROWS = 8;

    private MatMulKernels() {
    }

    private static Map<DType, CudaKernel> gemv(String rows) {
        Map<DType, CudaKernel> kernels = new EnumMap<>(DType.class);
        for (DType type : List.of(DType.F32, DType.BF16, DType.F16))
            kernels.put(type, CudaKernel.declare("gemv_" + type + rows, POINTER, POINTER, POINTER, AFTER, I32, I32, I32, I64));
        return kernels;
    }

    /// What becomes of a product: `plus + scale · a b`.
    ///
    /// @param plus as the result, or null
    private record After(View plus, double scale) {
        static final After NOTHING = new After(null, 1);

        void write(MemorySegment to) {
            to.set(JAVA_LONG, 0, plus == null ? 0 : Launch.address(plus));
            to.set(JAVA_FLOAT, 8, (float) scale);
        }
    }

    static void addMm(AddMm op, List<View> in, List<View> out) {
        View y = in.get(0), h = in.get(1), b = in.get(2), z = out.getFirst();
        int rows = Math.toIntExact(h.rows());
        product(new Matrices(h.reshape(Shape.of(rows, h.dim(-1)))), new Matrices(b).transposed(), z.reshape(Shape.of(rows, z.dim(-1))),
                Shape.SCALAR, new After(y, op.alpha()));
    }

    static void run(MatMul op, View left, View right, View out) {
        Matrices a = new Matrices(left), b = new Matrices(right);
        if (op.transposeA()) a = a.transposed();
        if (op.transposeB()) b = b.transposed();
        Shape batch = out.shape().range(0, out.rank() - 2);
        boolean isOneWeight = b.view().rows() == b.rows() && batch.size() > 1;
        if (isOneWeight) {                                                       // a weight for the whole batch: one product
            Matrices joined = a.expanded(batch).joined();
            if (joined != null) {
                product(joined, new Matrices(last(b.view())), out.reshape(Shape.of(joined.rows(), b.columns())), Shape.SCALAR,
                        After.NOTHING);
                return;
            }
        }
        product(a.expanded(batch), b.expanded(batch), out, batch, After.NOTHING);
    }

    private static View last(View v) {
        return new View(v.storage(), v.dtype(), v.shape().range(v.rank() - 2, v.rank()), new long[] {v.stride(-2), v.stride(-1)},
                v.offset());
    }

    /// @param batch of all three
    private static void product(Matrices a, Matrices b, View out, Shape batch, After after) {
        int m = a.rows(), k = a.columns(), n = b.columns();
        if (out.size() == 0) return;
        if (k == 0) {
            empty(out, after);
        } else
            if (out.dtype() == DType.F32 && batch.size() == 1 && (m <= FEW_ROWS || n < LEAST_COLUMNS && m <= FEW_ROWS * MOST_BLOCKS)
                    && isWeight(b, k)) {
                        rows(a, b, out, after);
                    } else
                if (out.dtype() == DType.F32 && m >= LEAST_ROWS && n >= LEAST_COLUMNS && k >= LEAST_TERMS && batch.size() <= MOST_BLOCKS
                        && Math.max(m, n) <= Planes.MOST_ROWS) {
                            onTensorCores(a, b.transposed(), out, batch, after);
                        } else {
                            tiles(a, b, out, batch, after);
                        }
    }

    private static void tiles(Matrices a, Matrices b, View out, Shape batch, After after) {
        long tiles = batch.size() * Math.ceilDiv(a.rows(), 64) * Math.ceilDiv(b.columns(), 64);
        long wanted = Math.ceilDiv(4L * Temporary.device(out).multiprocessors(), tiles);
        int parts = after == After.NOTHING ? Math.clamp(wanted, 1, Math.max(1, a.columns() / LEAST_PART)) : 1;
        if (parts == 1) {
            tiles(a, b, out, batch, after, 1);
            return;
        }
        Shape shape = batch.concat(Shape.of(parts, a.rows(), b.columns()));
        try (Temporary sums = Temporary.of(Temporary.device(out), new Spec(shape, out.dtype()))) {
            tiles(a, b, sums.view(), batch, after, parts);
            ReduceKernels.run(new Reduce(Reduce.Law.SUM, batch.rank()), sums.view(), out);
        }
    }

    private static void tiles(Matrices a, Matrices b, View out, Shape batch, After after, int parts) {
        Launch launch = (out.dtype() == DType.F64 ? MATMUL_F64 : MATMUL_F32).on(Temporary.device(out));
        write(launch, a);
        write(launch, b);
        launch.pointer(out);
        if (out.dtype() == DType.F32) after.write(launch.struct(AFTER));
        launch.i32(a.rows()).i32(b.columns()).i32(a.columns()).i64(batch.size()).i32(parts).run(Math.ceilDiv(b.columns(), 64),
                Math.min(Math.ceilDiv(a.rows(), 64), MOST_BLOCKS), (int) Math.min(batch.size() * parts, MOST_BLOCKS), 256);
    }

    /// A product without terms.
    private static void empty(View out, After after) {
        Device device = Temporary.device(out);
        if (after.plus == null) device.zero(Launch.address(out), out.spec().bytes());
        else device.copy(Launch.address(out), Launch.address(after.plus), out.spec().bytes());
    }

    private static void write(Launch launch, Matrices x) {
        MemorySegment to = launch.struct(MATRICES);
        Launch.write(to, x.firsts());
        to.set(JAVA_LONG, OPERAND.size(), x.view().stride(-2));
        to.set(JAVA_LONG, OPERAND.size() + 8L, x.view().stride(-1));
    }

    /// Whether b is the transpose of a matrix whose rows lie together.
    private static boolean isWeight(Matrices b, int k) {
        return b.view().stride(-2) == 1 && (b.columns() == 1 || b.view().stride(-1) >= k) && Pair.isSingle(b.view().dtype());
    }

    private static void rows(Matrices a, Matrices b, View out, After after) {
        Spec spec = new Spec(Shape.of(a.rows(), a.columns()), DType.F32);
        Device device = Temporary.device(out);
        boolean isPlain = a.view().dtype() == DType.F32 && a.view().isContiguous();
        try (Temporary copy = isPlain ? Temporary.contiguous(a.view()) : Temporary.of(device, spec)) {
            if (!isPlain) CopyKernels.cast(a.view(), copy.view().reshape(a.view().shape()));
            CudaKernel kernel = (a.rows() == 1 ? GEMV_1 : GEMV_8).get(b.view().dtype());
            Launch launch = kernel.on(device).pointer(copy.view()).pointer(b.view()).pointer(out);
            after.write(launch.struct(AFTER));
            launch.i32(a.rows()).i32(b.columns()).i32(a.columns()).i64(b.view().stride(-1))
                    .run(Math.ceilDiv(b.columns(), a.rows() == 1 ? 16 : 32), Math.ceilDiv(a.rows(), FEW_ROWS), 1, 256);
        }
    }

    private static boolean hasWgmma(Device device) {
        return device.capability() == 90 && device.driver().hasTensorMaps() && device.has(WGMMA);
    }

    /// Whether a device has something faster for large products than `mma.sync`.
    static boolean hasFasterThanMma(Device device) {
        return device.blas().isPresent() || hasWgmma(device);
    }

    /// @param b transposed: [...batch, columns, terms]
    private static void onTensorCores(Matrices a, Matrices b, View out, Shape batch, After after) {
        try (Planes x = Planes.of(a, batch); Planes y = Planes.of(b, batch)) {
            int pairs = 0, count = 0;
            for (int order = 2; order >= 0; order--) {                           // the smallest first
                for (int i = 0; i < x.count(); i++) {
                    int j = order - i;
                    if (j >= 0 && j < y.count()) pairs |= (i | j << 2) << 4 * count++;
                }
            }
            Device device = Temporary.device(out);
            int k = Math.ceilDiv(a.columns(), 8) * 8, m = a.rows(), n = b.rows();
            int matrices = (int) batch.size(), acrossN = Math.ceilDiv(n, 128), acrossM = Math.ceilDiv(m, 128);
            Optional<Blas> blas = device.blas();
            if (blas.isPresent()) {
                boolean isAdded = after.plus != null;
                if (isAdded) device.copy(Launch.address(out), Launch.address(after.plus), out.spec().bytes());
                for (int i = 0; i < count; i++) {
                    int pair = pairs >> 4 * i;
                    device.gemm(blas.get(), m, n, k, x.plane(pair & 3), x.pitch(), x.batch(), y.plane(pair >> 2 & 3), y.pitch(), y.batch(),
                            (float) after.scale, i == 0 && !isAdded ? 0 : 1, Launch.address(out), matrices);
                }
            } else
                if (hasWgmma(device) && x.isOneMatrix() && y.isOneMatrix()) {
                    Launch launch = WGMMA.on(device);
                    x.writeMap(device, launch.struct(TENSOR_MAP), matrices, k);
                    y.writeMap(device, launch.struct(TENSOR_MAP), matrices, k);
                    x.writeSteps(launch.struct(STEPS));
                    y.writeSteps(launch.struct(STEPS));
                    after.write(launch.pointer(out).struct(AFTER));
                    launch.i32(m).i32(n).i32(k).i32(pairs).i32(count).run(acrossN, acrossM, matrices, 384);
                } else {
                    Launch launch = GEMM.on(device);
                    x.write(launch.struct(Planes.STRUCT));
                    y.write(launch.struct(Planes.STRUCT));
                    after.write(launch.pointer(out).struct(AFTER));
                    launch.i32(m).i32(n).i32(k).i32(pairs).i32(count).i64(matrices).run(acrossN, acrossM, matrices, 256);
                }
        }
    }
}
