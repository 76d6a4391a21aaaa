package dev.graft.cuda;

import static dev.graft.cuda.CudaKernel.Parameter.I32;
import static dev.graft.cuda.CudaKernel.Parameter.I64;
import static dev.graft.cuda.CudaKernel.Parameter.OPERAND;
import static dev.graft.cuda.CudaKernel.Parameter.POINTER;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import dev.graft.cuda.CudaKernel.Parameter;
import dev.graft.tensor.DType;
import dev.graft.tensor.Shape;
import dev.graft.tensor.backend.View;
import java.lang.foreign.MemorySegment;

/// A batch of matrices as planes in bf16 (planes.cu).
///
/// @param plane numbers from plane to plane
/// @param batch numbers from matrix to matrix
/// @param pitch numbers from row to row
/// @param rows of each matrix
record Planes(Temporary memory, long address, int count, long plane, long batch, int pitch, int rows) implements AutoCloseable {
    /// Rows of a matrix that one launch splits: tiles of 32 along a grid's second axis.
    static final int MOST_ROWS = 32 * 65_535;

    /// As `Planes` has it (planes.cuh).
    static final Parameter STRUCT = Parameter.struct(32);

    private static final CudaKernel SPLIT = CudaKernel.declare("planes", OPERAND, I64, I64, I32, I32, POINTER, I32, I32, I64);

    /// @param x [...batch, rows, terms]
    static Planes of(Matrices x, Shape batch) {
        View v = x.view();
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
        SPLIT.on(device).operand(x.firsts()).i64(v.stride(-2)).i64(v.stride(-1)).i32(x.rows()).i32(x.columns())
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
