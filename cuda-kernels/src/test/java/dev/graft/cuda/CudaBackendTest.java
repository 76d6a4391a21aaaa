package dev.graft.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.graft.tensor.Backends;
import dev.graft.tensor.ChosenBackend;
import dev.graft.tensor.DType;
import dev.graft.tensor.Scope;
import dev.graft.tensor.Shape;
import dev.graft.tensor.Spec;
import dev.graft.tensor.Tensor;
import dev.graft.tensor.TensorException;
import dev.graft.tensor.backend.Backend;
import dev.graft.tensor.op.CrossEntropy;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

@ExtendWith(ChosenBackend.class)
class CudaBackendTest {
    private final Backend gpu = Backends.named("cuda:0");

    @Test
    void isTheBestThereIs() {
        assertThat(Backends.best()).isSameAs(gpu);
    }

    @Test
    void largeTensorsGoToTheDeviceAndBack() {
        try (var _ = Scope.open(gpu)) {
            float[] values = new float[3_000_001];                               // more than two pieces of staging
            for (int i = 0; i < values.length; i++) values[i] = i;
            Tensor t = Tensor.of(values);
            values[5] = -1;                                                      // the copy has been taken
            float[] back = t.toFloats();
            assertThat(back[5]).isEqualTo(5);
            assertThat(back[3_000_000]).isEqualTo(3_000_000);
        }
    }

    @Test
    void tensorsGoFromDeviceToDevice() {
        Backend other = Backends.all().stream().filter(b -> b.name().equals("cuda:1") && b.isAvailable()).findFirst().orElse(null);
        assumeTrue(other != null, "needs a second GPU");
        try (var _ = Scope.open(gpu)) {
            Tensor t = Tensor.of(new float[] {1, 2, 3}).to(other);
            assertThat(t.backend()).isSameAs(other);
            assertThat(t.add(t).toFloats()).containsExactly(2, 4, 6);
        }
    }

    /// Virtual threads, too, which are carried by one thread and then another.
    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void otherThreadsHaveTheirContext(boolean areVirtual) throws InterruptedException {
        List<Thread> threads = new ArrayList<>();
        List<Object> results = new CopyOnWriteArrayList<>();
        for (int i = 0; i < 4; i++)
            threads.add((areVirtual ? Thread.ofVirtual() : Thread.ofPlatform()).start(() -> {
                try (var _ = Scope.open(gpu)) {
                    Tensor sum = Tensor.range(DType.F32, 5).sum();
                    for (int turn = 0; turn < 20; turn++) {
                        Thread.yield();
                        sum = sum.add(1);
                        gpu.await();
                    }
                    results.add(sum.item());
                } catch (Throwable t) {
                    results.add(t);
                }
            }));
        for (Thread thread : threads) thread.join();
        assertThat(results).containsExactly(30.0, 30.0, 30.0, 30.0);
    }

    @Test
    void memoryIsUsedAgain() {
        long live = 0;
        for (int round = 0; round < 3; round++) {
            long before = gpu.memory().allocations();
            try (var _ = Scope.open(gpu)) {
                Tensor a = Tensor.randn(DType.F32, Shape.of(257, 33), 1);
                a.matmulT(a).softmax().sum().item();
            }
            if (round > 0) assertThat(gpu.memory().allocations()).isEqualTo(before);
            else live = gpu.memory().live();                                     // tables that kernels read, and cuBLAS's workspace, stay
        }
        assertThat(gpu.memory().live()).isEqualTo(live);
    }

    @Test
    void whatDoesNotFitIsSaidAndHarmsNothing() {
        try (var _ = Scope.open(gpu)) {
            Tensor kept = Tensor.ones(Spec.of(DType.F32, 1000, 1000));
            assertThatThrownBy(() -> Tensor.zeros(Spec.of(DType.F64, 1 << 20, 1 << 20))).isInstanceOf(OutOfMemoryError.class)
                    .hasMessageContainingAll("cuda:0", "8192.00 GiB", "tensors hold", "[");
            assertThat(kept.sum().item()).isEqualTo(1e6);
        }
    }

    @Test
    void anIndexOutsideIsSaidWhenValuesAreRead() {
        try (var _ = Scope.open(gpu)) {
            Tensor table = Tensor.ones(Spec.of(DType.F32, 5, 3));
            Tensor rows = table.gather(Tensor.of(new int[] {1, 7}));
            assertThatThrownBy(rows::toFloats).isInstanceOf(TensorException.class).hasMessage("[gather] index 7 is outside 0 … 4");
            assertThat(table.gather(Tensor.of(new int[] {1, 4})).toFloats()).containsOnly(1);
            Tensor loss = CrossEntropy.of(Tensor.ones(Spec.of(DType.F32, 2, 3)), Tensor.of(new int[] {0, 3}), -100);
            assertThatThrownBy(loss::toFloats).hasMessage("[cross_entropy] target 3 is outside 0 … 2 and not the ignore_index -100");
        }
    }

    /// As what a sampler leaves out has it: e^-inf is 0, also where all that a thread has seen of a row is such.
    @Test
    void minusInfinityIsNothing() {
        for (int n : new int[] {5, 40, 700}) {
            float[] x = new float[n];
            for (int i = 0; i < n; i++) x[i] = i < n - 3 ? Float.NEGATIVE_INFINITY : i * 0.25f;
            List<float[]> got = new ArrayList<>();
            for (Backend b : List.of(Backends.named("reference"), gpu, Backends.named("cpu"))) {
                try (var _ = Scope.open(b)) {
                    Tensor t = Tensor.of(x, 1, n);
                    got.add(t.softmax().toFloats());
                    got.add(t.logSoftmax().toFloats());
                    got.add(CrossEntropy.of(t, Tensor.of(new int[] {n - 2}), -100).toFloats());
                }
            }
            for (int i = 3; i < 9; i++) {
                float[] own = got.get(i), expected = got.get(i % 3);
                for (int j = 0; j < own.length; j++)
                    if (own[j] != expected[j]) assertThat(own[j]).as("%d of %d at %d", i, n, j).isCloseTo(expected[j], within(1e-5f)); // infinities are alike
            }
        }
    }

    @Test
    void productsOfExpandedMatricesAreThoseOfTheirCopies() {
        try (var _ = Scope.open(gpu)) {
            Tensor row = Tensor.randn(DType.F32, Shape.of(1, 64), 1).to(DType.BF16), x = Tensor.randn(DType.F32, Shape.of(40, 64), 2);
            Tensor rows = row.expand(48, 64);
            assertThat(x.matmulT(rows).toFloats()).containsExactly(x.matmulT(rows.copy()).toFloats());
            assertThat(rows.matmulT(x).toFloats()).containsExactly(rows.copy().matmulT(x).toFloats());
        }
    }

    /// Of which a copy on the device alone promises nothing.
    @Test
    void aTensorIsAssignedToAPartOfItself() {
        try (var _ = Scope.open(gpu)) {
            Tensor t = Tensor.range(DType.F32, 100_000), grid = Tensor.range(DType.F32, 64 * 64).reshape(64, 64);
            t.slice(0, 1, 100_000).assign(t.slice(0, 0, 99_999));
            assertThat(t.toFloats()).startsWith(0, 0, 1, 2).endsWith(99_997, 99_998);
            grid.assign(grid.transpose(0, 1));
            assertThat(grid.toFloats()).startsWith(0, 64, 128).endsWith(64 * 62 + 63, 64 * 63 + 63);
            grid.assign(grid);
            assertThat(grid.toFloats()).startsWith(0, 64, 128);
        }
    }

    @Test
    void theHostCannotReadItsMemory() {
        try (var _ = Scope.open(gpu)) {
            Tensor t = Tensor.ones(Spec.of(DType.F32, 2));
            assertThatThrownBy(() -> t.view().segment()).isInstanceOf(IllegalStateException.class).hasMessageContaining("cuda:0");
        }
    }
}
