package dev.graft.bench.model;

import dev.graft.bench.Work;
import dev.graft.models.CausalLm;
import dev.graft.models.Inputs;
import dev.graft.optim.AdamW;
import dev.graft.peft.Adapters;
import dev.graft.peft.Peft;
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
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/// One training step of each method, to be read beside LoRA's: forward, backward, AdamW; batch 4 × 64 tokens, the method's defaults, every token predicted.
///
/// No flops: beyond the passes over frozen products, which all methods have, each has its own.
@State(org.openjdk.jmh.annotations.Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MILLISECONDS)
@Fork(1)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 3, time = 1)
public class MethodStepBench implements Work.Known {
    private static final int BATCH = 4;
    private static final int TOKENS = 64;

    /// All of `graft methods` but BitFit, which finds no bias in a LLaMA.
    @Param({"lora", "series-h", "series", "parallel", "scaled-parallel", "loha", "lokr", "vera", "randlora", "fourierft", "hira", "miss",
            "dora", "ia3", "hra", "oft", "boft", "road", "ln-tuning", "houlsby", "pfeiffer", "par-bn", "compacter", "compacter++", "prompt",
            "p-tuning", "llama-adapter", "prefix"})
    public String method;

    private CausalLm model;
    private Peft peft;
    private AdamW optimizer;
    private int[][] ids;
    private int[][] labels;

    @Setup
    public void build() {
        try (var _ = Scope.open()) {
            model = RandomModels.training();
            peft = Peft.attach(model, Adapters.named(method).defaults());
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
        return new Work(0, 0, BATCH * TOKENS);
    }

    @TearDown(Level.Trial)
    public void close() {
        optimizer.close();
        peft.close();
        model.close();
    }
}
