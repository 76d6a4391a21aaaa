package dev.graft.bench.op;

import dev.graft.bench.Work;
import dev.graft.nn.Weight;
import dev.graft.tensor.DType;
import dev.graft.tensor.Scope;
import dev.graft.tensor.Tensor;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.Level;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.TearDown;

/// One token through a large weight, as decoding does it: memory-bound. Bytes: the weight once. With more `rows` it is a product with a weight of few bits.
public class GemvBench extends OpBench {
    private static final int COLUMNS = 4096;
    private static final int ROWS = 65536;

    @Param({"f32", "bf16", "q8", "nf4"})
    public String format;

    @Param("1")
    public int rows;

    private final Scope memory = Scope.detached();
    private Tensor x;
    private Weight weight;

    @Setup
    public void fill() {
        x = input(rows, COLUMNS);
        try (var _ = Scope.open()) {
            Tensor w = Tensor.uniform(DType.F32, dev.graft.tensor.Shape.of(ROWS, COLUMNS), 1);
            weight = switch (format) {
                case "f32" -> new Weight.Dense(memory.keep(w));
                case "bf16" -> new Weight.Dense(memory.keep(w.to(DType.BF16)));
                case "q8" -> Weight.Q8.of(w);
                case "nf4" -> Weight.Nf4.of(w);
                default -> throw new IllegalArgumentException("no format '" + format + "'");
            };
            weight.tensors().forEach(memory::keep);
        }
    }

    @Benchmark
    public double gemv() {
        return run(() -> weight.linear(x));
    }

    @Override
    public Work work() {
        double values = (double) ROWS * COLUMNS;
        return new Work(2 * values * rows, switch (format) {
            case "f32" -> 4 * values;
            case "bf16" -> 2 * values;
            case "q8" -> values * 9 / 8;
            default -> values * 4.127 / 8;
        });
    }

    @TearDown(Level.Trial)
    public void free() {
        memory.close();
    }
}
