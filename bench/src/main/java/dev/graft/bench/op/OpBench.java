package dev.graft.bench.op;

import dev.graft.bench.Work;
import dev.graft.tensor.DType;
import dev.graft.tensor.Scope;
import dev.graft.tensor.Shape;
import dev.graft.tensor.Tensor;
import java.util.concurrent.TimeUnit;
import java.util.function.Supplier;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Level;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/// What the benches of single ops share: how they are timed, where their inputs live, and that results are let go as they would be in a model.
///
/// Five fresh JVMs each, because a kernel that the JIT compiles badly in one launch shows only there.
@State(org.openjdk.jmh.annotations.Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Fork(5)
@Warmup(iterations = 4, time = 1)
@Measurement(iterations = 3, time = 1)
public abstract class OpBench implements Work.Known {
    private final Scope inputs = Scope.detached();

    /// Normal values that stay until the bench ends.
    protected final Tensor input(DType dtype, int... dims) {
        try (var _ = Scope.open()) {
            return inputs.keep(Tensor.randn(DType.F32, Shape.of(dims), dims.length * 31L + dims[0]).to(dtype).copy());
        }
    }

    protected final Tensor input(int... dims) {
        return input(DType.F32, dims);
    }

    protected final Tensor ids(int below, int... dims) {
        try (var _ = Scope.open()) {
            Tensor spread = Tensor.uniform(DType.F32, Shape.of(dims), 3).mul(below - 1);
            return inputs.keep(spread.to(DType.I32));
        }
    }

    /// Runs an op, waits for it, and lets go of its result.
    protected final double run(Supplier<Tensor> op) {
        try (var _ = Scope.open()) {
            Tensor y = op.get();
            y.backend().await();
            return y.shape().size();
        }
    }

    /// The i-th number of a shape such as `4x256x64`.
    protected static int size(String shape, int i) {
        return Integer.parseInt(shape.split("x")[i]);
    }

    protected static long product(int... sizes) {
        return Shape.of(sizes).size();
    }

    @TearDown(Level.Trial)
    public final void letGo() {
        inputs.close();
    }
}
