package dev.graft.bench.op;

import dev.graft.bench.Shapes;
import dev.graft.bench.Work;
import dev.graft.tensor.DType;
import dev.graft.tensor.Tensor;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Setup;

/// Matrix products: `A·Bᵀ` (a linear layer), `A·B` (the gradient of its input), `Aᵀ·B` (the gradient of its weight).
///
/// Flops 2·M·N·K; bytes: both operands and the result once.
public class MatMulBench extends OpBench {
    public enum Form {
        NT, NN, TN
    }

    @Param({"512x2048x2048", "128x4096x4096", "1024x1024x1024", "lora-bench/lora_A", "lora-bench/lora_B"})
    public String shape;

    @Param
    public Form form;

    @Param({"F32", "BF16"})
    public DType weight;

    private Tensor a;
    private Tensor b;

    @Setup
    public void fill() {
        Shapes.Product p = Shapes.product(shape);
        a = form == Form.TN ? input(p.k(), p.m()) : input(p.m(), p.k());
        b = form == Form.NT ? input(weight, p.n(), p.k()) : input(weight, p.k(), p.n());
    }

    @Benchmark
    public double matmul() {
        return run(() -> switch (form) {
            case NT -> a.matmulT(b);
            case NN -> a.matmul(b);
            case TN -> a.tMatmul(b);
        });
    }

    @Override
    public Work work() {
        Shapes.Product p = Shapes.product(shape);
        return new Work(2.0 * p.m() * p.n() * p.k(), 4.0 * p.m() * p.k() + (double) weight.bytes() * p.n() * p.k() + 4.0 * p.m() * p.n());
    }
}
