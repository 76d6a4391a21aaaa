package dev.graft.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.graft.cuda.driver.Blas;
import dev.graft.cuda.driver.CudaException;
import dev.graft.cuda.driver.Driver;
import dev.graft.cuda.driver.JcudaDriver;
import dev.graft.cuda.driver.PanamaDriver;
import dev.graft.tensor.DType;
import dev.graft.tensor.Scope;
import dev.graft.tensor.Spec;
import dev.graft.tensor.Tensor;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.Random;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/// What is owed by every way to call the driver.
class DriverTest {
    /// The ways.
    enum Binding {
        PANAMA, JCUDA;

        Driver open() {
            String library = System.getProperty("graft.cuda.driver");
            return this == PANAMA ? new PanamaDriver(library) : new JcudaDriver(library);
        }

        /// cuBLAS of the version that the binding takes.
        String blas() {
            return Path.of(System.getProperty("graft.cuda.driver")).resolveSibling("libcublas.so." + (this == PANAMA ? 13 : 12)).toString();
        }
    }

    @BeforeEach
    void needsTheEmulatedDriver() {
        assumeTrue(Emulator.isThere(), "needs the emulated driver");
    }

    @ParameterizedTest
    @EnumSource
    void tellsOfTheDevice(Binding binding) {
        Driver driver = binding.open();
        assertThat(driver.binding()).isEqualTo(binding.name().toLowerCase());
        assertThat(driver.version()).isEqualTo(13_000);
        assertThat(driver.devices()).isEqualTo(2);
        assertThat(driver.name(1)).isEqualTo("emulated device 1");
        assertThat(driver.attribute(Driver.CAPABILITY_MAJOR, 0)).isIn(8, 9);
        long context = driver.retainContext(0);
        driver.setContext(context);
        assertThat(driver.freeMemory()).isPositive().isLessThanOrEqualTo(driver.totalMemory(0));
    }

    @ParameterizedTest
    @EnumSource
    void copiesFillsAndGivesBack(Binding binding) {
        Driver driver = binding.open();
        driver.setContext(driver.retainContext(0));
        long stream = driver.createStream(), a = driver.allocate(64), b = driver.allocate(64);
        MemorySegment host = driver.allocateHost(64);
        assertThat(host.byteSize()).isEqualTo(64);
        for (int i = 0; i < 16; i++) host.set(ValueLayout.JAVA_INT, 4L * i, i);
        driver.copyToDevice(a, host, 64, stream);
        driver.copyOnDevice(b, a, 64, stream);
        driver.fill(b + 4, (byte) 1, 4, stream);
        driver.synchronize(stream);
        host.fill((byte) 0);
        driver.copyToHost(host, b, 64, stream);
        driver.synchronize(stream);
        assertThat(host.toArray(ValueLayout.JAVA_INT)).startsWith(0, 0x01010101, 2, 3).endsWith(15);
        driver.free(a);
        driver.free(b);
        driver.freeHost(host);
        assertThatThrownBy(() -> driver.free(a)).isInstanceOf(CudaException.class)
                .hasMessageStartingWith("cuMemFree failed with CUDA error 1");
    }

    @ParameterizedTest
    @EnumSource
    void eventsTellTime(Binding binding) {
        Driver driver = binding.open();
        driver.setContext(driver.retainContext(0));
        long stream = driver.createStream(), from = driver.createEvent(), to = driver.createEvent();
        driver.record(from, stream);
        driver.record(to, stream);
        driver.synchronizeEvent(to);
        assertThat(driver.elapsed(from, to)).isNotNegative();
        driver.destroyEvent(from);
        driver.destroyEvent(to);
    }

    @ParameterizedTest
    @EnumSource
    void aGraphIsDoneWhenItIsLaunched(Binding binding) {
        Driver driver = binding.open();
        driver.setContext(driver.retainContext(0));
        long stream = driver.createStream(), address = driver.allocate(4);
        driver.fill(address, (byte) 1, 4, stream);
        driver.beginCapture(stream);
        driver.fill(address, (byte) 2, 4, stream);
        long graph = driver.endCapture(stream), ready = driver.instantiate(graph);
        driver.destroyGraph(graph);
        assertThat(read(driver, address, stream)).isEqualTo(0x01010101);
        driver.launchGraph(ready, stream);
        assertThat(read(driver, address, stream)).isEqualTo(0x02020202);

        driver.beginCapture(stream);
        driver.fill(address, (byte) 3, 4, stream);
        long other = driver.endCapture(stream);
        assertThat(driver.update(ready, other)).isEqualTo(binding == Binding.PANAMA);
        driver.launchGraph(binding == Binding.PANAMA ? ready : driver.instantiate(other), stream);
        assertThat(read(driver, address, stream)).isEqualTo(0x03030303);

        driver.beginCapture(stream);
        driver.fill(address, (byte) 4, 2, stream);
        driver.fill(address + 2, (byte) 5, 2, stream);
        assertThat(driver.update(ready, driver.endCapture(stream))).isFalse();
        driver.destroyExecutable(ready);
    }

    private static int read(Driver driver, long address, long stream) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment to = arena.allocate(4);
            driver.copyToHost(to, address, 4, stream);
            driver.synchronize(stream);
            return to.get(ValueLayout.JAVA_INT, 0);
        }
    }

    @ParameterizedTest
    @EnumSource
    void kernelsRun(Binding binding) {
        try (var _ = Scope.open(new CudaBackend(new Device(binding.open(), 1)))) {
            Tensor t = Tensor.range(DType.F32, 1000);
            assertThat(t.add(t).toFloats()[999]).isEqualTo(1998);
            Tensor x = Tensor.ones(Spec.of(DType.F32, 65, 66));
            assertThat(x.matmulT(x).toFloats()).hasSize(65 * 65).containsOnly(66);
        }
    }

    @ParameterizedTest
    @EnumSource
    void cublasMultiplies(Binding binding) {
        Driver driver = binding.open();
        driver.setContext(driver.retainContext(0));
        Blas blas = driver.blas(binding.blas()).orElseThrow();
        assertThat(blas.name()).startsWith("cuBLAS 1");
        long stream = driver.createStream(), handle = blas.open(stream, driver.allocate(Blas.WORKSPACE));
        int m = 3, n = 5, k = 7, pitch = 8, batch = 2;
        float[] a = new float[batch * m * pitch], b = new float[batch * n * pitch];
        Random random = new Random(1);
        for (int i = 0; i < a.length; i++) a[i] = random.nextInt(9) - 4;          // whole numbers: bf16 has them all
        for (int i = 0; i < b.length; i++) b[i] = random.nextInt(9) - 4;
        long x = bf16(driver, a, stream), y = bf16(driver, b, stream), z = driver.allocate(4L * batch * m * n);
        blas.gemm(handle, m, n, k, x, pitch, m * pitch, y, pitch, n * pitch, 1, 0, z, batch);
        blas.gemm(handle, m, n, k, x, pitch, m * pitch, y, pitch, n * pitch, 2, 1, z, batch);
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment host = arena.allocate(4L * batch * m * n);
            driver.copyToHost(host, z, host.byteSize(), stream);
            driver.synchronize(stream);
            for (int p = 0; p < batch; p++) {
                for (int i = 0; i < m; i++) {
                    for (int j = 0; j < n; j++) {
                        float sum = 0;
                        for (int l = 0; l < k; l++) sum += a[(p * m + i) * pitch + l] * b[(p * n + j) * pitch + l];
                        assertThat(host.getAtIndex(ValueLayout.JAVA_FLOAT, (p * m + i) * n + j)).isEqualTo(3 * sum);
                    }
                }
            }
        }
    }

    private static long bf16(Driver driver, float[] values, long stream) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment host = arena.allocate(2L * values.length);
            for (int i = 0; i < values.length; i++)
                host.setAtIndex(ValueLayout.JAVA_SHORT, i, (short) (Float.floatToIntBits(values[i]) >> 16));
            long address = driver.allocate(host.byteSize());
            driver.copyToDevice(address, host, host.byteSize(), stream);
            return address;
        }
    }

    @ParameterizedTest
    @EnumSource
    void aLibraryThatIsNotThereIsNamed(Binding binding) {
        Driver driver = binding.open();
        assertThatThrownBy(() -> driver.blas("/nowhere/libcublas.so.13")).isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("/nowhere/libcublas.so.13");
    }
}
