package dev.graft.bench.op;

import dev.graft.bench.Work;
import dev.graft.tensor.Tensor;
import dev.graft.tensor.op.CrossEntropy;
import dev.graft.tensor.op.LayerNorm;
import dev.graft.tensor.op.RmsNorm;
import dev.graft.tensor.op.RmsNormGrad;
import dev.graft.tensor.op.Softmax;
import dev.graft.tensor.op.SwiGlu;
import dev.graft.tensor.op.SwiGluGrad;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Setup;

/// Ops that go once over rows: memory-bound, so the figure to read is bytes per second beside a copy's.
///
/// Bytes: every operand and the result once.
public class RowsBench extends OpBench {
    public enum Kind {
        ADD(3), SILU(2), SWIGLU(3), SWIGLU_GRAD(5), RMS_NORM(2), RMS_NORM_GRAD(3), LAYER_NORM(2), SOFTMAX(2), CROSS_ENTROPY(1);

        private final int passes;

        Kind(int passes) {
            this.passes = passes;
        }
    }

    @Param
    public Kind op;

    @Param({"1024x2048"})
    public String shape;

    private Tensor a;
    private Tensor b;
    private Tensor c;
    private Tensor row;
    private Tensor scale;
    private Tensor targets;

    private int rows() {
        return Integer.parseInt(shape.split("x")[0]);
    }

    private int columns() {
        return Integer.parseInt(shape.split("x")[1]);
    }

    @Setup
    public void fill() {
        a = input(rows(), columns());
        b = input(rows(), columns());
        c = input(rows(), columns());
        row = input(columns());
        scale = input(rows(), 1);
        targets = ids(columns(), rows());
    }

    @Benchmark
    public double overRows() {
        return run(() -> switch (op) {
            case ADD -> a.add(b);
            case SILU -> a.silu();
            case SWIGLU -> SwiGlu.of(a, b);
            case SWIGLU_GRAD -> new SwiGluGrad().apply(a, b, c);
            case RMS_NORM -> RmsNorm.of(a, row, 1e-5);
            case RMS_NORM_GRAD -> new RmsNormGrad().apply(a, row, scale, b);
            case LAYER_NORM -> LayerNorm.of(a, row, row, 1e-5);
            case SOFTMAX -> new Softmax().apply(a);
            case CROSS_ENTROPY -> CrossEntropy.of(a, targets, -100);
        });
    }

    @Override
    public Work work() {
        return new Work(0, 4.0 * op.passes * rows() * columns());
    }
}
