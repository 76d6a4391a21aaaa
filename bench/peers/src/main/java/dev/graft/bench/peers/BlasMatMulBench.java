package dev.graft.bench.peers;

import dev.graft.bench.Peer;
import dev.graft.bench.Shapes;
import dev.graft.bench.Work;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.concurrent.TimeUnit;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.mkl.global.mkl_rt;
import org.bytedeco.openblas.global.openblas_nolapack;
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
import org.openjdk.jmh.annotations.Warmup;

/// `cblas_sgemm` of MKL and of OpenBLAS, beside `MatMulBench`: `A·Bᵀ` and `A·B` in f32, operands in native memory aligned to 64 bytes.
///
/// A JVM loads one of them only: the spinning threads of two disturb each other.
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Fork(5)
@Warmup(iterations = 4, time = 1)
@Measurement(iterations = 3, time = 1)
public class BlasMatMulBench implements Peer.Known {
    private static final int ROW_MAJOR = 101;
    private static final int AS_IS = 111;
    private static final int TRANSPOSED = 112;

    public enum Library {
        MKL, OPENBLAS
    }

    public enum Form {
        NT, NN
    }

    @Param
    public Library library;

    @Param({"512x2048x2048", "128x4096x4096", "1024x1024x1024"})
    public String shape;

    @Param
    public Form form;

    private Shapes.Product p;
    private FloatPointer a;
    private FloatPointer b;
    private FloatPointer c;

    @Setup
    public void fill() {
        NativeEnvironment.set(library + "_NUM_THREADS", System.getProperty("graft.threads"));
        NativeEnvironment.set("MKL_DYNAMIC", "FALSE");                           // as many threads as asked for, not fewer
        p = Shapes.product(shape);
        a = random(p.m() * p.k());
        b = random(p.n() * p.k());
        c = random(p.m() * p.n());
        check();
    }

    @Benchmark
    public FloatPointer sgemm() {
        int transposed = form == Form.NT ? TRANSPOSED : AS_IS;
        int width = form == Form.NT ? p.k() : p.n();
        switch (library) {
            case MKL -> mkl_rt.cblas_sgemm(ROW_MAJOR, AS_IS, transposed, p.m(), p.n(), p.k(), 1, a, p.k(), b, width, 0, c, p.n());
            case OPENBLAS -> openblas_nolapack.cblas_sgemm(ROW_MAJOR, AS_IS, transposed, p.m(), p.n(), p.k(), 1, a, p.k(), b, width, 0, c,
                    p.n());
        }
        return c;
    }

    /// One element of the result, by the definition: what computes something else is no peer.
    private void check() {
        sgemm();
        int row = p.m() / 3;
        int column = p.n() / 5;
        double wanted = 0;
        for (int k = 0; k < p.k(); k++) {
            long at = form == Form.NT ? (long) column * p.k() + k : (long) k * p.n() + column;
            wanted += (double) a.get((long) row * p.k() + k) * b.get(at);
        }
        float got = c.get((long) row * p.n() + column);
        if (Math.abs(got - wanted) > 1e-3) throw new IllegalStateException("%s computes %s in place of %s".formatted(library, got, wanted));
    }

    private static FloatPointer random(int size) {
        MemorySegment memory = Arena.global().allocate(4L * size, 64);
        SplittableRandom random = new SplittableRandom(size);
        for (int i = 0; i < size; i++) memory.setAtIndex(ValueLayout.JAVA_FLOAT, i, random.nextFloat() - 0.5f);
        return new FloatPointer(memory.asByteBuffer().order(ByteOrder.nativeOrder()).asFloatBuffer());
    }

    @Override
    public Work work() {
        Shapes.Product of = Shapes.product(shape);
        return new Work(2.0 * of.m() * of.n() * of.k(), 4.0 * of.m() * of.k() + 4.0 * of.n() * of.k() + 4.0 * of.m() * of.n());
    }

    @Override
    public Peer peer() {
        return new Peer(library == Library.MKL ? "MKL 2026.1" : "OpenBLAS 0.3.31", "op.MatMulBench.matmul",
                Map.of("shape", shape, "form", form.name(), "weight", "F32"));
    }
}
