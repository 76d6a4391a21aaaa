package dev.graft.bench.op;

import dev.graft.bench.Work;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorSpecies;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/// What the machine can do: fused multiply-adds in registers, and reading and copying memory larger than its caches. The yardsticks of every other
/// figure, to be measured in the same run.
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Fork(5)
@Warmup(iterations = 4, time = 1)
@Measurement(iterations = 3, time = 1)
public class PeakBench implements Work.Known {
    public enum Kind {
        FMA, READ, COPY
    }

    private static final VectorSpecies<Float> SPECIES = FloatVector.SPECIES_PREFERRED;
    private static final int CALLS = 2048;
    private static final int ROUNDS = 1 << 12;
    private static final long PIECE = 1L << 20;
    private static final int CHAINS = 16;
    private static final long BYTES = 1L << 30;

    @Param
    public Kind kind;

    private final int threads = Integer.getInteger("graft.threads", Runtime.getRuntime().availableProcessors());
    /// The same threads for all calls: the system may begin a new one on a core that is taken, and needs milliseconds to notice.
    private final ExecutorService pool = Executors.newCachedThreadPool();
    private MemorySegment from;
    private MemorySegment to;

    @Setup
    public void allocate() {
        if (kind == Kind.FMA) return;
        from = Arena.global().allocate(BYTES, 4096);
        from.fill((byte) 0);
        to = kind == Kind.COPY ? Arena.global().allocate(BYTES, 4096) : from;
        to.fill((byte) 0);
    }

    @Benchmark
    public float peak() throws InterruptedException, ExecutionException {
        List<Future<Float>> others = new ArrayList<>();
        for (int t = 1; t < threads; t++) {
            int me = t;
            others.add(pool.submit(() -> share(me)));
        }
        float sum = share(0);
        for (Future<Float> other : others) sum += other.get();
        return sum;
    }

    private float share(int thread) {
        return switch (kind) {
            case FMA -> manyFma(1e-3f + thread);
            case READ -> pieces(thread, (start, end) -> read(from, start, end));
            case COPY -> pieces(thread, (start, end) -> copy(from, to, start, end));
        };
    }

    @TearDown
    public void stop() {
        pool.shutdown();
    }

    @Override
    public Work work() {
        return switch (kind) {
            case FMA -> new Work(2.0 * threads * CALLS * ROUNDS * CHAINS * SPECIES.length(), 0);
            case READ -> new Work(0, BYTES);
            case COPY -> new Work(0, 2.0 * BYTES);
        };
    }

    // Many short calls, never one long loop: a loop that the JIT replaces while it runs (OSR) keeps its vectors boxed.

    private static float manyFma(float start) {
        float sum = 0;
        for (int i = 0; i < CALLS; i++) sum += fma(start + i);
        return sum;
    }

    private interface Piece {
        float run(long from, long to);
    }

    private float pieces(int thread, Piece piece) {
        float sum = 0;
        for (long at = thread * PIECE; at < BYTES; at += threads * PIECE) sum += piece.run(at, at + PIECE);
        return sum;
    }

    /// Sixteen independent chains: enough to fill two FMA units of latency four, with room to spare.
    private static float fma(float start) {
        FloatVector a = FloatVector.broadcast(SPECIES, start);
        FloatVector b = FloatVector.broadcast(SPECIES, 1e-9f);
        FloatVector c0 = a, c1 = a, c2 = a, c3 = a, c4 = a, c5 = a, c6 = a, c7 = a;
        FloatVector c8 = a, c9 = a, c10 = a, c11 = a, c12 = a, c13 = a, c14 = a, c15 = a;
        for (int i = 0; i < ROUNDS; i++) {
            c0 = c0.fma(a, b);
            c1 = c1.fma(a, b);
            c2 = c2.fma(a, b);
            c3 = c3.fma(a, b);
            c4 = c4.fma(a, b);
            c5 = c5.fma(a, b);
            c6 = c6.fma(a, b);
            c7 = c7.fma(a, b);
            c8 = c8.fma(a, b);
            c9 = c9.fma(a, b);
            c10 = c10.fma(a, b);
            c11 = c11.fma(a, b);
            c12 = c12.fma(a, b);
            c13 = c13.fma(a, b);
            c14 = c14.fma(a, b);
            c15 = c15.fma(a, b);
        }
        FloatVector low = c0.add(c1).add(c2).add(c3).add(c4).add(c5).add(c6).add(c7);
        return low.add(c8).add(c9).add(c10).add(c11).add(c12).add(c13).add(c14).add(c15).reduceLanes(VectorOperators.ADD);
    }

    private static float read(MemorySegment m, long from, long to) {
        int step = SPECIES.vectorByteSize();
        FloatVector a = FloatVector.zero(SPECIES), b = a, c = a, d = a;
        for (long i = from; i < to; i += 4L * step) {
            a = a.add(FloatVector.fromMemorySegment(SPECIES, m, i, ByteOrder.LITTLE_ENDIAN));
            b = b.add(FloatVector.fromMemorySegment(SPECIES, m, i + step, ByteOrder.LITTLE_ENDIAN));
            c = c.add(FloatVector.fromMemorySegment(SPECIES, m, i + 2L * step, ByteOrder.LITTLE_ENDIAN));
            d = d.add(FloatVector.fromMemorySegment(SPECIES, m, i + 3L * step, ByteOrder.LITTLE_ENDIAN));
        }
        return a.add(b).add(c).add(d).reduceLanes(VectorOperators.ADD);
    }

    private static float copy(MemorySegment from, MemorySegment to, long start, long end) {
        MemorySegment.copy(from, start, to, start, end - start);
        return 0;
    }
}
