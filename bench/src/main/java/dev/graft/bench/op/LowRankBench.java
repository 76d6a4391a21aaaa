package dev.graft.bench.op;

import dev.graft.bench.Work;
import dev.graft.tensor.Tensor;
import dev.graft.tensor.op.AddMm;
import dev.graft.tensor.op.GroupedLowRank;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Setup;

/// What adapters add to a matrix's result `y`: a LoRA for all rows, a bottleneck, or a LoRA of its own for each row.
///
/// Bytes: x and y read, y written, the adapters' matrices once.
public class LowRankBench extends OpBench {
    public enum Kind {
        /// `y + (x Aᵀ) Bᵀ`
        LORA,
        /// `x + tanh(x Dᵀ) Uᵀ`
        BOTTLENECK,
        /// As LORA, row b by adapter b.
        GROUPED
    }

    @Param
    public Kind kind;

    /// Rows, width, rank.
    @Param({"2048x4096x16", "64x4096x16"})
    public String shape;

    private Tensor x;
    private Tensor y;
    private Tensor a;
    private Tensor b;
    private GroupedLowRank grouped;
    private Tensor[] inputs;

    private int size(int i) {
        return size(shape, i);
    }

    @Setup
    public void fill() {
        int rows = size(0), width = size(1), r = size(2);
        x = input(rows, width);
        y = input(rows, width);
        a = input(r, width);
        b = input(width, r);
        if (kind != Kind.GROUPED) return;
        grouped = new GroupedLowRank(IntStream.range(0, rows).mapToObj(i -> new GroupedLowRank.Run(i, i + 1, 2)).toList());
        List<Tensor> in = new ArrayList<>(List.of(y, x));
        for (int i = 0; i < rows; i++) {
            in.add(input(r, width));
            in.add(input(width, r));
        }
        inputs = in.toArray(Tensor[]::new);
    }

    @Benchmark
    public double add() {
        return run(() -> switch (kind) {
            case LORA -> new AddMm(2).apply(y, x.matmulT(a), b);
            case BOTTLENECK -> new AddMm(1).apply(x, x.matmulT(a).tanh(), b);
            case GROUPED -> grouped.apply(inputs);
        });
    }

    @Override
    public Work work() {
        double rows = size(0), pair = 2.0 * size(1) * size(2), adapters = kind == Kind.GROUPED ? rows : 1;
        return new Work(2 * rows * pair, 4 * ((kind == Kind.BOTTLENECK ? 2 : 3) * rows * size(1) + adapters * pair));
    }
}
