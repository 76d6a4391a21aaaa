package dev.graft.bench.gpu;

import dev.graft.bench.Shapes;
import dev.graft.bench.Work;
import dev.graft.bench.op.OpBench;
import dev.graft.tensor.DType;
import dev.graft.tensor.Tensor;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Setup;

/// `A·Bᵀ` by Graft's kernels for tensor cores and by cuBLAS in their place.
///
/// Flops 2·M·N·K, though an F32 takes three products on tensor cores with a weight of bf16 and six with one of F32.
public class GemmBench extends OpBench {
    public enum By {
        GRAFT, CUBLAS
    }

    @Param({"4096x4096x4096", "8192x4096x4096", "1024x4096x4096", "2048x11008x4096", "512x2048x2048"})
    public String shape;

    @Param({"F32", "BF16"})
    public DType input;

    @Param({"F32", "BF16"})
    public DType weight;

    @Param
    public By by;

    private Tensor a;
    private Tensor b;

    @Setup
    public void fill() {
        if (by == By.GRAFT) System.setProperty("graft.cuda.cublas", "none");     // read at the first product
        Shapes.Product p = Shapes.product(shape);
        a = input(input, p.m(), p.k());
        b = input(weight, p.n(), p.k());
        boolean isCublas = a.backend().description().contains("cuBLAS");
        if (isCublas != (by == By.CUBLAS))
            throw new IllegalArgumentException("by=" + by + " needs cuBLAS: this is " + a.backend().description()
                    + "; -jvmArgsAppend -Dgraft.cuda.cublas=PATH names it");
    }

    @Benchmark
    public double product() {
        return run(() -> a.matmulT(b));
    }

    @Override
    public Work work() {
        Shapes.Product p = Shapes.product(shape);
        return new Work(2.0 * p.m() * p.n() * p.k(),
                (double) input.bytes() * p.m() * p.k() + (double) weight.bytes() * p.n() * p.k() + 4.0 * p.m() * p.n());
    }
}
