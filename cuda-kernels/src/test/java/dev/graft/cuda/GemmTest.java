package dev.graft.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.graft.cuda.driver.JcudaDriver;
import dev.graft.cuda.driver.PanamaDriver;
import dev.graft.nn.Weight;
import dev.graft.tensor.ChosenBackend;
import dev.graft.tensor.DType;
import dev.graft.tensor.Scope;
import dev.graft.tensor.Shape;
import dev.graft.tensor.Tensor;
import dev.graft.tensor.op.Q8MatMul;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/// Large products give the same by each of the ways to compute them, to the accuracy of F32.
@ExtendWith(ChosenBackend.class)
class GemmTest {
    /// The ways.
    enum By {
        MMA, WGMMA, CUBLAS
    }

    @AfterEach
    void clear() {
        if (Emulator.isThere()) Emulator.open().clear();
    }

    /// A device that multiplies in one of the ways: the emulated one, which is told what it is, or the one that is there, if it can.
    private static Device device(By by) {
        boolean isEmulated = Emulator.isThere();
        String library = System.getProperty("graft.cuda.driver"), before = System.getProperty("graft.cuda.cublas");
        if (isEmulated) Emulator.open().say("GRAFT_EMULATION_CAPABILITY", by == By.WGMMA ? "9.0" : "8.0");
        System.setProperty("graft.cuda.cublas",
                by != By.CUBLAS ? "none" : isEmulated ? Path.of(library).resolveSibling("libcublas.so.13").toString() : "");
        try {
            boolean hasNoMaps = by == By.MMA && !isEmulated;
            Device device = new Device(hasNoMaps ? new JcudaDriver(library) : new PanamaDriver(isEmulated ? library : "libcuda.so.1"), 0);
            assumeTrue(by != By.WGMMA || device.capability() == 90, "needs a GPU of compute capability 9.0");
            assumeTrue(by != By.CUBLAS || device.blas().isPresent(), "needs cuBLAS");
            assertThat(device.blas().isPresent()).isEqualTo(by == By.CUBLAS);
            return device;
        } finally {
            if (before == null) System.clearProperty("graft.cuda.cublas");
            else System.setProperty("graft.cuda.cublas", before);
        }
    }

    static Stream<Arguments> products() {
        List<Arguments> all = new ArrayList<>();
        int[][] shapes = {{1, 37, 65, 45}, {1, 129, 131, 16}, {1, 128, 128, 64}, {2, 33, 40, 72}, {3, 40, 34, 65}};
        for (By by : By.values()) {
            for (int[] s : shapes) {
                for (DType type : List.of(DType.F32, DType.BF16, DType.F16)) all.add(Arguments.of(by, s[0], s[1], s[2], s[3], type));
            }
        }
        return all.stream();
    }

    /// A: [batch, m, k] in F32, B: [batch, n, k].
    @ParameterizedTest
    @MethodSource("products")
    void isExact(By by, int batch, int m, int n, int k, DType type) {
        try (var _ = Scope.open(new CudaBackend(device(by)))) {
            Tensor a = Tensor.randn(DType.F32, Shape.of(batch, m, k), 1), b = Tensor.randn(DType.F32, Shape.of(batch, n, k), 2).to(type);
            assertExact(a, b, a.matmulT(b), 0x1p-21);
        }
    }

    /// Products with few results of many terms, which are summed in parts: of LoRA's gradients.
    @ParameterizedTest
    @CsvSource({"1, 5, 70, 1000", "1, 70, 5, 2048", "2, 8, 9, 513", "1, 1, 31, 4099"})
    void isExactInThinOnesToo(int batch, int m, int n, int k) {
        try (var _ = Scope.open(new CudaBackend(device(By.MMA)))) {
            Tensor a = Tensor.randn(DType.F32, Shape.of(batch, k, m), 1).transpose(1, 2),
                    b = Tensor.randn(DType.F32, Shape.of(batch, n, k), 2);
            assertExact(a.contiguous(), b, a.matmul(b.transpose(1, 2)), 0x1p-21);
        }
    }

    /// Weights in few bits are made F32 where many rows are multiplied and cuBLAS is there; a layer of Q8, whose product takes the fewest, never is.
    @ParameterizedTest
    @ValueSource(ints = {383, 384})
    void manyRowsAreWorthUnpackingAWeight(int rows) {
        assumeTrue(Emulator.isThere(), "counts launches of the emulated driver");
        Emulator emulator = Emulator.open();
        List<String> kernels = List.of("gemm_nf4_nt", "nf4_dequantize", "gemm_q8_nt", "gemm_q8_nn", "q8_dequantize");
        try (var _ = Scope.open(new CudaBackend(device(By.CUBLAS)))) {
            Tensor x = Tensor.randn(DType.F32, Shape.of(rows, 64), 1), w = Tensor.randn(DType.F32, Shape.of(64, 64), 2);
            Weight.Q8 q8 = Weight.Q8.of(w);
            Weight nf4 = Weight.Nf4.of(w);
            long[] before = kernels.stream().mapToLong(emulator::count).toArray();
            nf4.linear(x).toFloats();
            q8.linear(x).toFloats();
            new Q8MatMul(false).apply(x, q8.q(), q8.scale()).toFloats();
            for (int i = 0; i < before.length; i++) before[i] = emulator.count(kernels.get(i)) - before[i];
            assertThat(before).as(kernels + " by " + rows + " rows")
                    .containsExactly(rows < 384 ? new long[] {1, 0, 1, 1, 0} : new long[] {0, 1, 1, 0, 1});
        }
    }

    /// Where all terms are of one sign, what a tensor core cuts off a sum adds up. cuBLAS leaves all terms to it: of 16,384 some eighth of a thousandth of the sum is lost.
    @ParameterizedTest
    @EnumSource
    void isExactInLongSumsToo(By by) {
        try (var _ = Scope.open(new CudaBackend(device(by)))) {
            Tensor a = Tensor.uniform(DType.F32, Shape.of(1, 48, 16_384), 1), b = Tensor.uniform(DType.F32, Shape.of(1, 40, 16_384), 2);
            assertExact(a, b, a.matmulT(b), by == By.CUBLAS ? 0x1p-11 : 0x1p-20);
        }
    }

    /// @param share of the sum of all terms' sizes that the result may be off
    private static void assertExact(Tensor a, Tensor b, Tensor product, double share) {
        int batch = a.dim(0), m = a.dim(1), n = b.dim(1), k = a.dim(2);
        float[] c = product.toFloats(), x = a.toFloats(), y = b.to(DType.F32).toFloats();
        for (int p = 0; p < batch; p++) {
            for (int i = 0; i < m; i++) {
                for (int j = 0; j < n; j++) {
                    double sum = 0, size = 0;
                    for (int l = 0; l < k; l++) {
                        double term = (double) x[(p * m + i) * k + l] * y[(p * n + j) * k + l];
                        sum += term;
                        size += Math.abs(term);
                    }
                    assertThat((double) c[(p * m + i) * n + j]).isCloseTo(sum, within(size * share));
                }
            }
        }
    }
}
