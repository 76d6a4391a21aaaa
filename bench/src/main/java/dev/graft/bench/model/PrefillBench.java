package dev.graft.bench.model;

import dev.graft.bench.Work;
import dev.graft.models.CausalLm;
import dev.graft.models.generate.Session;
import dev.graft.tensor.Scope;
import java.util.List;
import java.util.concurrent.TimeUnit;
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

/// Time to read a prompt of 300 tokens into a new cache, up to the scores of the first new token: bound by arithmetic, each matrix meets all tokens at once.
///
/// Flops: the products with the blocks' weights for every token, with the output layer's for the last one.
@State(org.openjdk.jmh.annotations.Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MILLISECONDS)
@Fork(5)
@Warmup(iterations = 5, time = 2)
@Measurement(iterations = 4, time = 2)
public class PrefillBench implements Work.Known {
    @Param({"f32", "bf16", "q8", "nf4"})
    public String weights;

    private CausalLm model;
    private List<int[]> prompt;

    @Setup
    public void build() {
        try (var _ = Scope.open()) {
            model = RandomModels.decoding(weights);
        }
        prompt = List.of(RandomModels.prompt());
    }

    @Benchmark
    public float prefill() {
        try (Session session = model.open(prompt, 1)) {
            return session.logits()[0][0];
        }
    }

    @Override
    public Work work() {
        return new Work(2 * (RandomModels.PROMPT * RandomModels.DECODING_BLOCKS + RandomModels.DECODING_HEAD), 0, RandomModels.PROMPT);
    }

    @TearDown(Level.Trial)
    public void free() {
        model.close();
    }
}
