package dev.graft.bench.model;

import dev.graft.bench.Work;
import dev.graft.models.CausalLm;
import dev.graft.models.Inputs;
import dev.graft.optim.AdamW;
import dev.graft.peft.Peft;
import dev.graft.peft.method.Lora;
import dev.graft.peft.train.CausalLoss;
import dev.graft.tensor.Backends;
import dev.graft.tensor.Grads;
import dev.graft.tensor.Scope;
import dev.graft.tensor.Tape;
import dev.graft.tensor.Tensor;
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
    private Peft peft;
    private AdamW optimizer;
    private int[][] ids;
    private int[][] labels;

    @Setup
    public void build() {
        try (var _ = Scope.open()) {
            model = RandomModels.training();
            peft = Peft.attach(model, Lora.of(8, 16, "q_proj", "v_proj"));
            optimizer = new AdamW(peft.parameters(), AdamW.Config.DEFAULT);
        }
        SplittableRandom random = new SplittableRandom(1);
        ids = IntStream.range(0, BATCH).mapToObj(_ -> random.ints(TOKENS + 1, 0, model.config().vocab()).toArray()).toArray(int[][]::new);
        labels = ids;
    }

    @Benchmark
    public double step() {
        try (Tape tape = Tape.training(1); Grads grads = Grads.open()) {
            Tensor loss = CausalLoss.losses(model, Inputs.of(ids, null), labels).mean();
            tape.backward(loss, grads);
            optimizer.step(grads, 1e-3);
            Backends.best().await();
            return loss.item();
        }
    }

    @Override
    public Work work() {
        double block = 4.0 * 768 * 768 + 3.0 * 768 * 2048;
        return new Work(2.0 * BATCH * TOKENS * 2 * (6 * block + 8192.0 * 768), 0, BATCH * TOKENS);
    }

    @TearDown(Level.Trial)
    public void close() {
        optimizer.close();
        peft.close();
        model.close();
    }
}
