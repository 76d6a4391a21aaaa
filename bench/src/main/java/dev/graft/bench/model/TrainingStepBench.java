package dev.graft.bench.model;

import dev.graft.bench.Work;
import dev.graft.models.CausalLm;
import dev.graft.peft.method.Lora;
import dev.graft.tensor.Scope;
import java.util.SplittableRandom;
import java.util.concurrent.TimeUnit;
import java.util.stream.IntStream;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Level;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/// One LoRA training step, as the libtorch peer makes it: forward, backward, AdamW; batch 4 × 256 tokens, r = 8 on q and v, every token predicted.
///
/// Flops: two passes over the frozen products, `x Wᵀ` and `dy W` (no gradient of a frozen weight), below the first adapter only one.
@State(org.openjdk.jmh.annotations.Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MILLISECONDS)
@Fork(5)
@Warmup(iterations = 6, time = 2)
@Measurement(iterations = 5, time = 2)
public class TrainingStepBench implements Work.Known {
    private static final int BATCH = 4;
    private static final int TOKENS = 256;

    private CausalLm model;
    private AdapterStep adapted;
    private int[][] ids;

    @Setup
    public void build() {
        try (var _ = Scope.open()) {
            model = RandomModels.training(false);
        }
        adapted = new AdapterStep(model, Lora.of(8, 16, "q_proj", "v_proj"));
        SplittableRandom random = new SplittableRandom(1);
        ids = IntStream.range(0, BATCH).mapToObj(_ -> random.ints(TOKENS + 1, 0, model.config().vocab()).toArray()).toArray(int[][]::new);
    }

    @Benchmark
    public double step() {
        return adapted.step(ids);
    }

    @Override
    public Work work() {
        double block = 4.0 * 768 * 768 + 3.0 * 768 * 2048;
        return new Work(2.0 * BATCH * TOKENS * 2 * (6 * block + 8192.0 * 768), 0, BATCH * TOKENS);
    }

    @TearDown(Level.Trial)
    public void close() {
        adapted.close();
        model.close();
    }
}
