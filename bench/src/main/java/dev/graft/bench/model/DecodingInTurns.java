package dev.graft.bench.model;

import dev.graft.bench.Baseline;
import dev.graft.bench.Work;
import dev.graft.models.generate.GenerationConfig;
import dev.graft.models.generate.Generator;
import dev.graft.models.generate.Session;
import java.util.List;
import java.util.concurrent.TimeUnit;
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

/// What the benches share that go on with texts in two ways, step by step in turn: behind prompts of 32 tokens, which have been read.
@State(org.openjdk.jmh.annotations.Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MILLISECONDS)
@Fork(5)
@Warmup(iterations = 1, time = 15)
@Measurement(iterations = 1, time = 8)
public abstract class DecodingInTurns implements Work.Known, Baseline {
    static final int PROMPT = 32;

    private Session both;
    private boolean baselineFirst;

    abstract List<int[]> prompts();

    abstract GenerationConfig config();

    /// The prompts, read by what is measured.
    abstract Session open();

    /// The prompts, read by its baseline.
    abstract Session openBaseline();

    @Setup(Level.Invocation)
    public void read() {
        both = new InTurns(open(), openBaseline(), baselineFirst);
        baselineFirst = !baselineFirst;
    }

    /// The tokens behind them.
    @Benchmark
    public int decode() {
        return new Generator((_, _) -> both, config()).generate(prompts()).size();
    }

    @TearDown(Level.Invocation)
    public void close() {
        both.close();
    }
}
