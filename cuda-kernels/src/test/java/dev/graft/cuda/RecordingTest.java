package dev.graft.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.graft.cuda.driver.CudaException;
import dev.graft.tensor.Backends;
import dev.graft.tensor.DType;
import dev.graft.tensor.Scope;
import dev.graft.tensor.Shape;
import dev.graft.tensor.Spec;
import dev.graft.tensor.Tensor;
import dev.graft.tensor.TensorException;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/// Work handed over as graphs gives what it gives launch by launch.
class RecordingTest {
    private static final String GRAPHS = "graft.cuda.graphs";

    private Device device;
    private CudaBackend gpu;

    @BeforeEach
    void open() {
        Backends.named("cuda:0");
        String before = System.setProperty(GRAPHS, "true");
        device = new Device(CudaBackends.driver(System.getProperty("graft.cuda.driver")), 0);
        if (before == null) System.clearProperty(GRAPHS);
        else System.setProperty(GRAPHS, before);
        gpu = new CudaBackend(device);
    }

    /// Something with products, sums, fills and copies.
    private static Tensor some(Tensor x, double factor) {
        Tensor y = x.matmulT(x).mul(factor).softmax();
        return Tensor.cat(0, y, y.transpose(0, 1).copy(), Tensor.zeros(y.spec())).sum(0);
    }

    /// Does some work again and again, and returns how many graphs it was the last time, when memory and kernels were there.
    private long graphs(String name, Runnable work) {
        long before = 0;
        for (int i = 0; i < 3; i++) {
            before = device.graphs();
            try (var _ = Scope.open(gpu)) {
                device.together(name, work);
            }
        }
        return device.graphs() - before;
    }

    @Test
    void aWorkIsOneGraphWhoseNumbersChange() {
        try (var _ = Scope.open(gpu)) {
            Tensor[] x = new Tensor[5];
            for (int i = 1; i < 5; i++) x[i] = Tensor.randn(DType.F32, Shape.of(37, 19), i);
            List<float[]> expected = new ArrayList<>(), got = new ArrayList<>();
            for (int i = 1; i < 5; i++) expected.add(some(x[i], i).toFloats());
            for (int i = 1; i < 5; i++) {
                int number = i;
                Tensor[] y = new Tensor[1];
                device.together("some", () -> y[0] = some(x[number], number));
                got.add(y[0].toFloats());
            }
            for (int i = 0; i < 4; i++) assertThat(got.get(i)).containsExactly(expected.get(i));
            assertThat(graphs("some", () -> some(x[1], 2))).isEqualTo(1);
        }
    }

    /// What was written down and never ran must not be taken for computed.
    @Test
    void workThatCannotBeHandedOverIsNotForgotten() {
        assumeTrue(Emulator.isThere(), "needs the emulated driver");
        Emulator emulator = Emulator.open();
        try (var _ = Scope.open(gpu)) {
            Tensor x = Tensor.ones(Spec.of(DType.F32, 5));
            gpu.await();
            emulator.fail("cuGraphInstantiateWithFlags", CudaException.OUT_OF_MEMORY, 2);
            assertThatThrownBy(() -> device.together("lost", () -> x.add(x).sum().item())).isInstanceOf(TensorException.class)
                    .hasMessageContainingAll("can't be used any more", "recorded as a CUDA graph", "cuGraphInstantiate");
            assertThatThrownBy(x::toFloats).hasMessageContaining("can't be used any more");
        } finally {
            emulator.clear();
        }
    }

    @Test
    void aValueThatIsReadEndsAPiece() {
        try (var _ = Scope.open(gpu)) {
            Tensor x = Tensor.ones(Spec.of(DType.F32, 5));
            double[] sum = new double[1];
            long pieces = graphs("reading", () -> {
                Tensor y = x.add(x);
                sum[0] = y.sum().item();
                sum[0] += y.mul(sum[0]).sum().item();
            });
            assertThat(sum[0]).isEqualTo(10 + 100);
            assertThat(pieces).isEqualTo(2);
        }
    }

    @Test
    void otherShapesAreOtherGraphs() {
        try (var _ = Scope.open(gpu)) {
            for (int n : new int[] {3, 700, 3}) {
                Tensor x = Tensor.range(DType.F32, n);
                Tensor[] y = new Tensor[1];
                device.together("shapes", () -> y[0] = n == 3 ? x.add(x) : x.add(x).mul(0.5).add(x).exp().softmax());
                float[] expected = (n == 3 ? x.add(x) : x.add(x).mul(0.5).add(x).exp().softmax()).toFloats();
                assertThat(y[0].toFloats()).containsExactly(expected);
            }
        }
    }

    /// What was asked before it failed is done.
    @Test
    void workThatFailsEndsItsGraph() {
        try (var _ = Scope.open(gpu)) {
            Tensor x = Tensor.ones(Spec.of(DType.F32, 5));
            Tensor[] y = new Tensor[1];
            assertThatThrownBy(() -> device.together("failing", () -> {
                y[0] = x.add(x);
                throw new IllegalStateException("no more");
            })).hasMessage("no more");
            assertThat(y[0].toFloats()).containsOnly(2);
            assertThat(x.add(y[0]).toFloats()).containsOnly(3);
        }
    }
}
