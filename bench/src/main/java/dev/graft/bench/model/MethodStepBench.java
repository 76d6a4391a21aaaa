package dev.graft.bench.model;

import dev.graft.bench.Baseline;
import dev.graft.bench.Work;
import dev.graft.models.CausalLm;
import dev.graft.peft.Adapters;
import dev.graft.tensor.Scope;
import java.util.Map;
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
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/// One training step of a method: forward, backward, penalty, AdamW, and what the method does after it; batch 4 × 64 tokens, the method's defaults, every token predicted. On
/// [TrainingStepBench]'s LLaMA, with biases in its layers, so that BitFit finds some.
///
/// ```
/// graft bench MethodStepBench -p method=all          every one of graft methods, beside LoRA
/// ```
/// No flops: beyond the passes over frozen products, which all methods have, each has its own.
@State(org.openjdk.jmh.annotations.Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MILLISECONDS)
@Fork(3)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 3, time = 1)
public class MethodStepBench implements Work.Known, Baseline {
    private static final int BATCH = 4;
    private static final int TOKENS = 64;

    /// Its name in `graft methods`.
    @Param("lora")
    public String method;

    private CausalLm model;
    private AdapterStep adapted;
    private int[][] ids;

    @Setup
    public void build() {
        try (var _ = Scope.open()) {
            model = RandomModels.training(true);
        }
        adapted = new AdapterStep(model, Adapters.named(method).defaults());
        SplittableRandom random = new SplittableRandom(1);
        ids = IntStream.range(0, BATCH).mapToObj(_ -> random.ints(TOKENS + 1, 0, model.config().vocab()).toArray()).toArray(int[][]::new);
    }

    @Benchmark
    public double step() {
        return adapted.step(ids);
    }

    @Override
    public Work work() {
        return new Work(0, 0, BATCH * TOKENS);
    }

    @Override
    public Map<String, String> baseline() {
        return Map.of("method", "lora");
    }

    @TearDown(Level.Trial)
    public void close() {
        adapted.close();
        model.close();
    }
}
