package dev.graft.cuda;

import static java.lang.foreign.ValueLayout.JAVA_DOUBLE;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import dev.graft.cuda.CudaKernel.Parameter;
import dev.graft.tensor.TensorException;
import dev.graft.tensor.backend.View;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/// The arguments of one launch, written where the driver reads them. One for each thread, used again and again.
final class Launch {
    /// Most axes of an operand that can't be joined with their neighbours (`elements.cuh`).
    static final int AXES = 8;

    private static final int THREADS = 256;
    private static final ThreadLocal<Launch> OWN = ThreadLocal.withInitial(Launch::new);

    private final MemorySegment arguments = Arena.ofAuto().allocate(4096, 128);
    private CudaKernel kernel;
    private Device device;
    private int next;

    private Launch() {
    }

    static Launch of(CudaKernel kernel, Device device) {
        device.settle();
        Launch launch = OWN.get();
        launch.kernel = kernel;
        launch.device = device;
        launch.next = 0;
        return launch;
    }

    /// Where the next argument goes, which must be one of this kind.
    private int place(Parameter kind) {
        if (next >= kernel.parameters() || !kernel.parameter(next).equals(kind))
            throw new IllegalStateException("argument %d of kernel %s is none of %d bytes".formatted(next, kernel, kind.size()));
        return kernel.offset(next++);
    }

    Launch i32(int value) {
        arguments.set(JAVA_INT, place(Parameter.I32), value);
        return this;
    }

    Launch i64(long value) {
        arguments.set(JAVA_LONG, place(Parameter.I64), value);
        return this;
    }

    Launch f32(double value) {
        arguments.set(JAVA_FLOAT, place(Parameter.F32), (float) value);
        return this;
    }

    Launch f64(double value) {
        arguments.set(JAVA_DOUBLE, place(Parameter.F64), value);
        return this;
    }

    /// An address on the device; 0 for none.
    Launch pointer(long address) {
        arguments.set(JAVA_LONG, place(Parameter.POINTER), address);
        return this;
    }

    /// Where a tensor's elements begin.
    Launch pointer(View view) {
        return pointer(address(view));
    }

    Launch fault() {
        return pointer(device.faultAddress());
    }

    /// A tensor where it lies.
    Launch operand(View view) {
        write(arguments.asSlice(place(Parameter.OPERAND), Parameter.OPERAND.size()), view);
        return this;
    }

    /// None: its data is null.
    Launch noOperand() {
        arguments.asSlice(place(Parameter.OPERAND), Parameter.OPERAND.size()).fill((byte) 0);
        return this;
    }

    /// A struct, written by the caller.
    MemorySegment struct(Parameter kind) {
        return arguments.asSlice(place(kind), kind.size());
    }

    static long address(View view) {
        return ((DeviceStorage) view.storage()).address() + view.byteOffset();
    }

    /// As `Operand` has it: axes of size 1 left out, those that lie one behind another joined.
    static void write(MemorySegment to, View view) {
        int rank = 0;
        int[] dims = new int[view.rank() + 1];
        long[] strides = new long[view.rank() + 1];
        for (int i = 0; i < view.rank(); i++) {
            int dim = view.dim(i);
            long stride = view.stride(i);
            if (dim == 1) continue;
            boolean joins = rank > 0 && strides[rank - 1] == stride * dim && (long) dims[rank - 1] * dim <= Integer.MAX_VALUE;
            if (joins) {
                dims[rank - 1] *= dim;
                strides[rank - 1] = stride;
            } else {
                dims[rank] = dim;
                strides[rank++] = stride;
            }
        }
        if (rank == 0) dims[rank++] = 1;
        if (rank > AXES)
            throw new TensorException(
                    "tensors whose axes lie in %d pieces are too many for a kernel, which takes %d; copy() it first".formatted(rank, AXES));
        to.set(JAVA_LONG, 0, address(view));
        to.set(JAVA_INT, 8, view.dtype().ordinal());
        to.set(JAVA_INT, 12, rank);
        for (int i = 0; i < AXES; i++) {
            to.set(JAVA_INT, 16 + 4L * i, i < rank ? dims[i] : 1);
            to.set(JAVA_LONG, 16 + 4L * AXES + 8L * i, i < rank ? strides[i] : 0);
        }
    }

    /// Blocks of 256 threads, of which each goes through many of `n` elements where there are enough to fill the device.
    void over(long n) {
        if (n > 0) run((int) Math.min(Math.ceilDiv(n, THREADS), 32L * device.multiprocessors()), 1, 1, THREADS);
    }

    /// As [#over], for each of `rows` alike: their number is the second of a block.
    void rowsOver(long n, int rows) {
        if (n > 0 && rows > 0)
            run((int) Math.min(Math.ceilDiv(n, THREADS), Math.max(1, 32L * device.multiprocessors() / rows)), rows, 1, THREADS);
    }

    /// A block of 256 threads for each row, or a warp where rows are short.
    void rows(long rows, boolean isShort) {
        if (rows > 0) run(Math.toIntExact(isShort ? Math.ceilDiv(rows, THREADS / 32) : rows), 1, 1, THREADS);
    }

    void run(int gridX, int gridY, int gridZ, int threads) {
        if (next != kernel.parameters())
            throw new IllegalStateException("kernel %s takes %d arguments, got %d".formatted(kernel, kernel.parameters(), next));
        device.launch(kernel, gridX, gridY, gridZ, threads, kernel.sharedBytes(), arguments, kernel.bytes());
    }
}
