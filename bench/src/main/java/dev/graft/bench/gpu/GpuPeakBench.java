package dev.graft.bench.gpu;

import dev.graft.bench.Work;
import dev.graft.bench.op.OpBench;
import dev.graft.tensor.DType;
import dev.graft.tensor.Tensor;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Setup;

/// What the GPU can do: a large product of bf16 matrices (by cuBLAS, where it is), reading and copying 1 GiB. The yardsticks of every other figure of a GPU, to be measured in the same run.
public class GpuPeakBench extends OpBench {
    public enum Kind {
        FMA, READ, COPY
    }

    private static final int WIDTH = 8192;
    private static final int NUMBERS = 1 << 28;

    @Param
    public Kind kind;

    private Tensor a;
    private Tensor b;

    @Setup
    public void fill() {
        if (kind == Kind.FMA) {
            a = input(DType.BF16, WIDTH, WIDTH);
            b = input(DType.BF16, WIDTH, WIDTH);
        } else {
            a = input(NUMBERS);
        }
    }

    @Benchmark
    public double peak() {
        return run(() -> switch (kind) {
            case FMA -> a.matmulT(b);
            case READ -> a.sum();
            case COPY -> a.copy();
        });
    }

    @Override
    public Work work() {
        return switch (kind) {
            case FMA -> new Work(2.0 * WIDTH * WIDTH * WIDTH, 0);
            case READ -> new Work(0, 4.0 * NUMBERS);
            case COPY -> new Work(0, 8.0 * NUMBERS);
        };
    }
}
