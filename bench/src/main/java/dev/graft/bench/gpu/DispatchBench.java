package dev.graft.bench.gpu;

import dev.graft.bench.Work;
import dev.graft.bench.op.OpBench;
import dev.graft.tensor.Tensor;
import dev.graft.tensor.op.RmsNorm;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.OperationsPerInvocation;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Setup;

/// What an op costs the host: from the tensor's method to the driver's return. Less than it takes the device, and the device never waits. On the emulated driver, told to do nothing itself, it is Graft alone:
///
/// ```
/// driver=-Dgraft.cuda.driver=$PWD/cuda-kernels/target/emulation/fast/libcuda.so.1
/// GRAFT_EMULATION_NOTHING=1 GRAFT_JAVA_OPTS=$driver ./graft bench DispatchBench --backend cuda:0 -jvmArgsAppend $driver
/// ```
public class DispatchBench extends OpBench {
    public enum Kind {
        /// To the last sum: a chain, one launch for 16.
        ADD,
        /// One launch.
        RMS_NORM,
        /// A row by a weight: one launch.
        LINEAR_1_ROW,
        /// 64 rows by a weight: each taken apart into planes, then their product, three launches and two pieces of memory for a while.
        LINEAR_64_ROWS
    }

    /// Ops between two waits.
    private static final int AT_ONCE = 100;

    @Param
    public Kind op;

    private Tensor row;
    private Tensor rows;
    private Tensor weight;

    @Setup
    public void fill() {
        row = input(1, 64);
        rows = input(64, 64);
        weight = input(64, 64);
    }

    @Benchmark
    @OperationsPerInvocation(AT_ONCE)
    public double dispatch() {
        return run(() -> {
            Tensor last = row;
            for (int i = 0; i < AT_ONCE; i++) last = after(last);
            return last;
        });
    }

    private Tensor after(Tensor last) {
        return switch (op) {
            case ADD -> last.add(row);
            case RMS_NORM -> RmsNorm.of(row, row.reshape(64), 1e-5);
            case LINEAR_1_ROW -> row.matmulT(weight);
            case LINEAR_64_ROWS -> rows.matmulT(weight);
        };
    }

    @Override
    public Work work() {
        return new Work(0, 0);
    }
}
