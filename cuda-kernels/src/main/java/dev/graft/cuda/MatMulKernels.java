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
import java.lang.foreign.MemorySegment;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/// Launches matmul.cu, gemv.cu, planes.cu, gemm_mma.cu and gemm_wgmma.cu, or calls cuBLAS in the last two's place: chooses among them.
final class MatMulKernels {
    private static final Parameter MATRICES = Parameter.struct(OPERAND.size() + 16), PLANES_OF = Parameter.struct(32),
            AFTER = Parameter.struct(16), TENSOR_MAP = new Parameter(128, 64), STEPS = new Parameter(8, 4);
    private static final CudaKernel MATMUL_F32 = CudaKernel.declare("matmul_f32", MATRICES, MATRICES, POINTER, AFTER, I32, I32, I32, I64),
            MATMUL_F64 = CudaKernel.declare("matmul_f64", MATRICES, MATRICES, POINTER, I32, I32, I32, I64),
            PLANES = CudaKernel.declare("planes", OPERAND, I64, I64, I32, I32, POINTER, I32, I32, I64),
            GEMM = CudaKernel.declareShared("gemm_mma", 3 * 2 * 128 * (32 + 8) * 2, PLANES_OF, PLANES_OF, POINTER, AFTER, I32, I32, I32,
                    I32,
                    I32, I64),
            WGMMA = CudaKernel.declareShared("gemm_wgmma", 4 * 2 * 128 * 64 * 2, TENSOR_MAP, TENSOR_MAP, STEPS, STEPS, POINTER, AFTER,
                    I32, I32, I32, I32, I32);
    private static final Map<DType, CudaKernel> GEMV_1 = gemv("_1"), GEMV_8 = gemv("_8");
    private static final int MOST_BLOCKS = 65_535;

    /// From how many rows, columns and terms on tensor cores make a product.
    private static final int LEAST_ROWS = 32, LEAST_COLUMNS = 32, LEAST_TERMS = 16;

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

    /// A batch of matrices: [...batch, rows, columns], however they lie.
    private record Matrices(View view) {
        int rows() {
            return view.dim(-2);
        }

        int columns() {
            return view.dim(-1);
        }

        /// The first element of each.
        View firsts() {
            return view.at(-1, 0).at(-1, 0);
        }

        Matrices transposed() {
            int[] axes = new int[view.rank()];
            for (int i = 0; i < axes.length; i++) axes[i] = i;
            axes[axes.length - 1] = axes.length - 2;
            axes[axes.length - 2] = axes.length - 1;
            return new Matrices(view.permute(axes));
        }

        Matrices expanded(Shape batch) {
            return new Matrices(view.expand(batch.concat(view.shape().range(view.rank() - 2, view.rank()))));
        }

        /// All of a batch as one, one below another, where they lie so; null where not.
        Matrices joined() {
            View v = view;
            for (int axis = 0; axis < v.rank() - 2; axis++) {
                if (v.dim(axis) != 1 && v.stride(axis) != v.stride(axis + 1) * v.dim(axis + 1)) return null;
            }
            int rows = Math.toIntExact(v.rows());
            return new Matrices(
                    new View(v.storage(), v.dtype(), Shape.of(rows, v.dim(-1)), new long[] {v.stride(-2), v.stride(-1)}, v.offset()));
        }
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
        boolean isOneWeight = b.view.rows() == b.rows() && batch.size() > 1;
        if (isOneWeight) {                                                       // a weight for the whole batch: one product
            Matrices joined = a.expanded(batch).joined();
            if (joined != null) {
                product(joined, new Matrices(last(b.view)), out.reshape(Shape.of(joined.rows(), b.columns())), Shape.SCALAR, After.NOTHING);
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
                        && Math.max(m, n) <= 32L * MOST_BLOCKS) {
                            onTensorCores(a, b.transposed(), out, batch, after);
                        } else {
                            Launch launch = (out.dtype() == DType.F64 ? MATMUL_F64 : MATMUL_F32).on(Temporary.device(out));
                            write(launch, a);
                            write(launch, b);
                            launch.pointer(out);
                            if (out.dtype() == DType.F32) after.write(launch.struct(AFTER));
                            launch.i32(m).i32(n).i32(k).i64(batch.size()).run(Math.ceilDiv(n, 64), Math.ceilDiv(m, 64),
                                    (int) Math.min(batch.size(), MOST_BLOCKS), 256);
                        }
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
        to.set(JAVA_LONG, OPERAND.size(), x.view.stride(-2));
        to.set(JAVA_LONG, OPERAND.size() + 8L, x.view.stride(-1));
    }

    /// Whether b is the transpose of a matrix whose rows lie together.
    private static boolean isWeight(Matrices b, int k) {
        return b.view.stride(-2) == 1 && (b.columns() == 1 || b.view.stride(-1) >= k) && Pair.isSingle(b.view.dtype());
    }

    private static void rows(Matrices a, Matrices b, View out, After after) {
        Spec spec = new Spec(Shape.of(a.rows(), a.columns()), DType.F32);
        Device device = Temporary.device(out);
        boolean isPlain = a.view.dtype() == DType.F32 && a.view.isContiguous();
        try (Temporary copy = isPlain ? Temporary.contiguous(a.view) : Temporary.of(device, spec)) {
            if (!isPlain) CopyKernels.cast(a.view, copy.view().reshape(a.view.shape()));
            CudaKernel kernel = (a.rows() == 1 ? GEMV_1 : GEMV_8).get(b.view.dtype());
            Launch launch = kernel.on(device).pointer(copy.view()).pointer(b.view).pointer(out);
            after.write(launch.struct(AFTER));
            launch.i32(a.rows()).i32(b.columns()).i32(a.columns()).i64(b.view.stride(-1))
                    .run(Math.ceilDiv(b.columns(), 8), Math.ceilDiv(a.rows(), FEW_ROWS), 1, 256);
        }
    }

    /// A batch of matrices as planes in bf16 (planes.cu).
    ///
    /// @param plane numbers from plane to plane
    /// @param batch numbers from matrix to matrix
    /// @param pitch numbers from row to row
    /// @param rows of each matrix
    private record Planes(Temporary memory, long address, int count, long plane, long batch, int pitch, int rows) implements AutoCloseable {
        /// @param x [...batch, rows, terms]
        static Planes of(Matrices x, Shape batch) {
            View v = x.view;
            boolean isPlane = v.dtype() == DType.BF16 && v.stride(-1) == 1 && v.stride(-2) % 8 == 0 && v.stride(-2) <= Integer.MAX_VALUE
                    && v.stride(-2) >= x.columns() && x.columns() % 8 == 0
                    && Launch.address(v) % 16 == 0 && (batch.size() == 1 || batch.rank() == 1 && v.stride(0) % 8 == 0);
            if (isPlane) {
                v.storage().retain();
                return new Planes(new Temporary((DeviceStorage) v.storage(), v), Launch.address(v), 1, 0,
                        batch.size() == 1 ? 0 : v.stride(0), (int) v.stride(-2), x.rows());
            }
            int count = v.dtype() == DType.F32 ? 3 : v.dtype() == DType.F16 ? 2 : 1, pitch = Math.ceilDiv(x.columns(), 8) * 8;
            long each = (long) x.rows() * pitch, plane = each * batch.size();
            Device device = Temporary.device(v);
            Temporary memory = new Temporary(device.pool().allocate(2 * plane * count, "temporary"), null);
            PLANES.on(device).operand(x.firsts()).i64(v.stride(-2)).i64(v.stride(-1)).i32(x.rows()).i32(x.columns())
                    .pointer(memory.storage().address()).i32(count).i32(pitch).i64(plane)
                    .run(Math.ceilDiv(pitch, 32), Math.ceilDiv(x.rows(), 32), (int) batch.size(), 256);
            return new Planes(memory, memory.storage().address(), count, plane, each, pitch, x.rows());
        }

        long plane(int i) {
            return address + 2 * plane * i;
        }

        void write(MemorySegment to) {
            to.set(JAVA_LONG, 0, address);
            to.set(JAVA_LONG, 8, plane);
            to.set(JAVA_LONG, 16, batch);
            to.set(JAVA_INT, 24, pitch);
            to.set(JAVA_INT, 28, 0);
        }

        /// Whether all rows there are lie at equal distances, as a tensor map has it.
        boolean isOneMatrix() {
            return plane % pitch == 0 && batch % pitch == 0;
        }

        void writeMap(Device device, MemorySegment to, int matrices, int k) {
            device.encodeTensorMap(to, address, (count - 1) * plane / pitch + (matrices - 1) * batch / pitch + rows, k, 2L * pitch, 128,
                    64);
        }

        void writeSteps(MemorySegment to) {
            to.set(JAVA_INT, 0, (int) (plane / pitch));
            to.set(JAVA_INT, 4, (int) (batch / pitch));
        }

        @Override
        public void close() {
            memory.close();
        }
    }

    /// @param b transposed: [...batch, columns, terms]
    private static void onTensorCores(Matrices a, Matrices b, View out, Shape batch, After after) {
        try (Planes x = Planes.of(a, batch); Planes y = Planes.of(b, batch)) {
            int pairs = 0, count = 0;
            for (int order = 2; order >= 0; order--) {                           // the smallest first
                for (int i = 0; i < x.count; i++) {
                    int j = order - i;
                    if (j >= 0 && j < y.count) pairs |= (i | j << 2) << 4 * count++;
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
                    device.gemm(blas.get(), m, n, k, x.plane(pair & 3), x.pitch, x.batch, y.plane(pair >> 2 & 3), y.pitch, y.batch,
                            (float) after.scale, i == 0 && !isAdded ? 0 : 1, Launch.address(out), matrices);
                }
            } else
                if (device.capability() == 90 && device.driver().hasTensorMaps() && device.has(WGMMA) && x.isOneMatrix()
                        && y.isOneMatrix()) {
                            Launch launch = WGMMA.on(device);
                            x.writeMap(device, launch.struct(TENSOR_MAP), matrices, k);
                            y.writeMap(device, launch.struct(TENSOR_MAP), matrices, k);
                            x.writeSteps(launch.struct(STEPS));
                            y.writeSteps(launch.struct(STEPS));
                            after.write(launch.pointer(out).struct(AFTER));
                            launch.i32(m).i32(n).i32(k).i32(pairs).i32(count).run(acrossN, acrossM, matrices, 384);
                        } else {
                            Launch launch = GEMM.on(device);
                            x.write(launch.struct(PLANES_OF));
                            y.write(launch.struct(PLANES_OF));
                            after.write(launch.pointer(out).struct(AFTER));
                            launch.i32(m).i32(n).i32(k).i32(pairs).i32(count).i64(matrices).run(acrossN, acrossM, matrices, 256);
                        }
        }
    }
}
