package dev.graft.bench.op;

import dev.graft.bench.Work;
import dev.graft.tensor.Tensor;
import dev.graft.tensor.op.AdamWStep;
import dev.graft.tensor.op.CrossEntropy;
import dev.graft.tensor.op.CrossEntropyGrad;
import dev.graft.tensor.op.Dropout;
import dev.graft.tensor.op.LayerNorm;
import dev.graft.tensor.op.LayerNormGrad;
import dev.graft.tensor.op.RmsNorm;
import dev.graft.tensor.op.RmsNormGrad;
import dev.graft.tensor.op.Rope;
import dev.graft.tensor.op.Softmax;
import dev.graft.tensor.op.SquaredNorms;
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
        ADD(3), SILU(2), SWIGLU(3), SWIGLU_GRAD(5), RMS_NORM(2), RMS_NORM_GRAD(3), LAYER_NORM(2), LAYER_NORM_GRAD(3), SOFTMAX(2),
        CROSS_ENTROPY(1), CROSS_ENTROPY_GRAD(2),
        /// `tanh(a b + c) / 2 + 1`, five ops that go element by element.
        CHAIN(4),
        /// A vector for each row: what (IA)³ and PEDRO do to a matrix's result.
        ROW_SCALE(2), ROPE(2), EMBEDDING(2), DROPOUT(2), SUM(1), SQUARED_NORM(1), CUMSUM(2), ADAMW(7);

        private final int passes;

        Kind(int passes) {
            this.passes = passes;
        }
    }

    private static final int HEAD = 64;

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
    private Tensor one;
    private Tensor angles;
    private Tensor positions;

    private int rows() {
        return size(shape, 0);
    }

    private int columns() {
        return size(shape, 1);
    }

    @Setup
    public void fill() {
        a = input(rows(), columns());
        b = input(rows(), columns());
        c = input(rows(), columns());
        row = input(columns());
        scale = input(rows(), 1);
        targets = ids(columns(), rows());
        one = input(rows());
        angles = input(rows(), HEAD / 2);
        positions = ids(rows(), 1, rows());
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
            case LAYER_NORM_GRAD -> new LayerNormGrad().apply(a, row, scale, scale, b);
            case CROSS_ENTROPY -> CrossEntropy.of(a, targets, -100);
            case CROSS_ENTROPY_GRAD -> new CrossEntropyGrad(-100).apply(a, targets, one, one);
            case CHAIN -> a.mul(b).add(c).tanh().mul(0.5).add(1);
            case ROW_SCALE -> a.reshape(1, rows(), columns()).mul(row);
            case ROPE -> new Rope(false, false).apply(a.reshape(1, rows(), columns() / HEAD, HEAD), angles, angles, positions);
            case EMBEDDING -> a.gather(positions);
            case DROPOUT -> new Dropout(0.1, 7).apply(a);
            case SUM -> a.sum();
            case SQUARED_NORM -> new SquaredNorms().apply(a);
            case CUMSUM -> a.cumsum();
            case ADAMW -> new AdamWStep(1e-3, 0.9, 0.999, 1e-8, 0.01, 5).apply(a, b, c, b);
        });
    }

    @Override
    public Work work() {
        return new Work(0, 4.0 * op.passes * rows() * columns());
    }
}
