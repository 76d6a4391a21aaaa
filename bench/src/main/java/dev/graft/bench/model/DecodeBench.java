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
import org.openjdk.jmh.annotations.OperationsPerInvocation;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/// Time of one greedily decoded token of a 159 M-parameter LLaMA behind a prompt of 300: memory-bound, each matrix is read once.
@State(org.openjdk.jmh.annotations.Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MILLISECONDS)
@Fork(5)
@Warmup(iterations = 3, time = 2)
@Measurement(iterations = 4, time = 2)
public class DecodeBench implements Work.Known {
    /// Tokens that one call decodes.
    public static final int TOKENS = 64;

    @Param({"f32", "bf16", "q8", "nf4"})
    public String weights;

    private CausalLm model;
    private int[] prompt;

    @Setup
    public void build() {
        try (var _ = Scope.open()) {
            model = RandomModels.decoding(weights);
        }
        prompt = RandomModels.prompt();
    }

    private Session session;

    @Setup(Level.Invocation)
    public void read() {
        session = model.open(List.of(prompt), TOKENS + 1);
    }

    @TearDown(Level.Invocation)
    public void close() {
        session.close();
    }

    @Benchmark
    @OperationsPerInvocation(TOKENS)
    public int decode() {
        int id = 0;
        for (int i = 0; i < TOKENS; i++) {
            id = best(session.logits()[0]);
            session.advance(new int[] {id});
        }
        return id;
    }

    private static int best(float[] logits) {
        int best = 0;
        for (int i = 1; i < logits.length; i++) if (logits[i] > logits[best]) best = i;
        return best;
    }

    @Override
    public Work work() {
        return work(weights);
    }

    /// What one token costs: every weight of a matrix once.
    public static Work work(String weights) {
        double values = RandomModels.DECODING_BLOCKS + RandomModels.DECODING_HEAD;
        return new Work(2 * values, switch (weights) {
            case "f32" -> 4 * values;
            case "bf16" -> 2 * values;
            case "q8" -> 9.0 / 8 * values;
            default -> 4.127 / 8 * RandomModels.DECODING_BLOCKS + 4 * RandomModels.DECODING_HEAD;     // which is not quantised
        }, 1);
    }

    @TearDown(Level.Trial)
    public void free() {
        model.close();
    }
}
