package dev.graft.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.graft.cuda.driver.CudaException;
import dev.graft.tensor.DType;
import dev.graft.tensor.Grads;
import dev.graft.tensor.Scope;
import dev.graft.tensor.Shape;
import dev.graft.tensor.Spec;
import dev.graft.tensor.Tape;
import dev.graft.tensor.Tensor;
import dev.graft.tensor.TensorException;
import dev.graft.tensor.backend.Backend;
import dev.graft.tensor.op.Attention;
import java.nio.charset.StandardCharsets;
import java.text.MessageFormat;
import java.util.ArrayList;
import java.util.List;
import java.util.logging.Handler;
import java.util.logging.LogRecord;
import java.util.logging.Logger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/// What is said when the driver, the device or its memory fails: each time what is the matter, and never does another backend step in.
class FaultsTest {
    private static final String LIBRARY = "graft.cuda.driver";
    private static final int NO_BINARY_FOR_GPU = 209, ILLEGAL_ADDRESS = 700, LAUNCH_FAILED = 719, UNKNOWN = 999;

    private Emulator emulator;

    @BeforeEach
    void open() {
        assumeTrue(Emulator.isThere(), "needs the emulated driver");
        emulator = Emulator.open();
    }

    @AfterEach
    void clear() {
        if (emulator != null) emulator.clear();
    }

    /// A device of its own, which has loaded nothing yet.
    private static Backend fresh() {
        return new CudaBackend(new Device(CudaBackends.driver(System.getProperty(LIBRARY)), 0));
    }

    private static void assertAbsent(String why) {
        List<Backend> found = new CudaBackends().backends();
        assertThat(found).singleElement().satisfies(b -> {
            assertThat(b.isAvailable()).isFalse();
            assertThat(b.name()).isEqualTo("cuda:0");
            assertThat(b.description()).contains(why);
            assertThatThrownBy(() -> b.allocate(4, "test")).isInstanceOf(TensorException.class)
                    .hasMessage("backend 'cuda:0' cannot run here: " + b.description());
        });
    }

    @Test
    void noDriver() {
        String library = System.getProperty(LIBRARY);
        System.setProperty(LIBRARY, "/nowhere/libcuda.so.1");
        try {
            assertAbsent("no NVIDIA driver");
        } finally {
            System.setProperty(LIBRARY, library);
        }
    }

    @Test
    void aDriverThatIsTooOld() {
        emulator.say("GRAFT_EMULATION_VERSION", "11030");
        assertAbsent("the NVIDIA driver is of CUDA 11.3, and 11.4 is needed: install a newer one");
    }

    /// Who names a backend is told when that can't run; who names none must not be left to wonder why it is slow.
    @Test
    void aGpuThatIsPassedOverIsNotSilent() {
        List<String> said = new ArrayList<>();
        Handler handler = new Handler() {
            @Override
            public void publish(LogRecord record) {
                said.add(MessageFormat.format(record.getMessage(), record.getParameters()));
            }

            @Override
            public void flush() {
                // at once
            }

            @Override
            public void close() {
                // nothing is open
            }
        };
        Logger log = Logger.getLogger("dev.graft.cuda");
        String backend = System.clearProperty("graft.backend");
        log.addHandler(handler);
        try {
            emulator.say("GRAFT_EMULATION_DEVICES", "0");
            assertAbsent("the NVIDIA driver finds no GPU");
            assertThat(said).isEmpty();
            emulator.say("GRAFT_EMULATION_VERSION", "11030");
            assertAbsent("the NVIDIA driver is of CUDA 11.3");
            assertThat(said)
                    .containsExactly("The GPU is not used: the NVIDIA driver is of CUDA 11.3, and 11.4 is needed: install a newer one");
        } finally {
            log.removeHandler(handler);
            if (backend != null) System.setProperty("graft.backend", backend);
        }
    }

    @Test
    void noDevice() {
        emulator.say("GRAFT_EMULATION_DEVICES", "0");
        assertAbsent("the NVIDIA driver finds no GPU");
    }

    @Test
    void noDeviceAndADriverThatWillNotStart() {
        emulator.fail("cuInit", CudaException.NO_DEVICE, 1);
        assertAbsent("the NVIDIA driver finds no GPU");
    }

    @Test
    void aDriverThatDoesNotStart() {
        emulator.fail("cuInit", UNKNOWN, 1);
        assertAbsent("the NVIDIA driver does not start: cuInit failed with CUDA error 999");
    }

    @Test
    void memoryInReserveIsGivenBackBeforeTheDeviceIsFull() {
        Backend gpu = fresh();
        try (var _ = Scope.open(gpu)) {
            Tensor kept = Tensor.ones(Spec.of(DType.F32, 3));
            Tensor.ones(Spec.of(DType.F32, 1 << 20)).close();
            assertThat(gpu.memory().reserved()).isGreaterThanOrEqualTo(4 << 20);
            emulator.fail("cuMemAlloc_v2", CudaException.OUT_OF_MEMORY, 1);
            Tensor large = Tensor.ones(Spec.of(DType.F32, 3 << 20));
            assertThat(gpu.memory().reserved()).isZero();
            assertThat(large.sum().item() + kept.sum().item()).isEqualTo((3 << 20) + 3);
        }
    }

    @Test
    void aFullDevice() {
        try (var _ = Scope.open(fresh())) {
            Tensor kept = Tensor.ones(Spec.of(DType.F32, 3 << 20));
            emulator.fail("cuMemAlloc_v2", CudaException.OUT_OF_MEMORY, 2);
            assertThatThrownBy(() -> Tensor.zeros(Spec.of(DType.F32, 1 << 20, 5))).isInstanceOf(OutOfMemoryError.class)
                    .hasMessageStartingWith("cuda:0 has no memory for a tensor of 20.0 MiB: tensors hold 12.0 MiB")
                    .hasMessageContaining("in 1 blocks of [fill]");
            assertThat(kept.sum().item()).isEqualTo(3 << 20);
            assertThat(Tensor.zeros(Spec.of(DType.F32, 1 << 20, 5)).sum().item()).isZero();
        }
    }

    /// Ops that wait for one another and can't be launched have not been done, and are not taken for it.
    @Test
    void aLaunchThatFailsIsTriedAgain() {
        try (var _ = Scope.open(fresh())) {
            Tensor t = Tensor.ones(Spec.of(DType.F32, 3)), y = t.add(1).mul(t);
            emulator.fail("cuLaunchKernel", CudaException.OUT_OF_MEMORY, 1);
            assertThatThrownBy(() -> t.sum()).isInstanceOf(CudaException.class).hasMessageContaining("cuLaunchKernel");
            assertThat(y.toFloats()).containsOnly(2);
        }
    }

    @Test
    void aKernelThatIsMissingForTheChip() {
        try (var _ = Scope.open(fresh())) {
            emulator.fail("cuModuleGetFunction", CudaException.NOT_FOUND, 1);
            assertThatThrownBy(() -> Tensor.ones(Spec.of(DType.F32, 3))).isInstanceOf(TensorException.class)
                    .hasMessageMatching("kernel 'fill' was not compiled for cuda:0, emulated device 0, of compute capability \\d\\.\\d");
        }
    }

    /// Of Hopper's own product: a driver older than the machine code takes its PTX, and where that is too new, too, there is `mma`.
    @ParameterizedTest
    @CsvSource({"0, 2, 0", "1, 2, 0", "2, 0, 2"})
    void aProductOfHoppersOwn(int refused, int byWgmma, int byMma) {
        assumeTrue(CudaBackends.driver(System.getProperty(LIBRARY)).hasTensorMaps(), "needs a binding with tensor maps");
        byte[] ptx = KernelFiles.packed().image("gemm_wgmma", "ptx");
        assumeTrue(ptx != null, "needs compiled kernels");
        assertThat(new String(ptx, StandardCharsets.UTF_8)).contains(".version 8.0", ".target sm_90a", ".entry gemm_wgmma");
        emulator.say("GRAFT_EMULATION_CAPABILITY", "9.0");
        String cublas = System.setProperty("graft.cuda.cublas", "none");
        try (var _ = Scope.open(fresh())) {
            Tensor x = Tensor.randn(DType.F32, Shape.of(40, 64), 1).to(DType.BF16),
                    y = Tensor.randn(DType.F32, Shape.of(48, 64), 2).to(DType.BF16);
            float[] expected = x.to(DType.F32).unsqueeze(1).mul(y.to(DType.F32)).sum(2).toFloats();
            long wgmma = emulator.count("gemm_wgmma"), mma = emulator.count("gemm_mma");
            if (refused > 0) emulator.fail("cuModuleLoadData", NO_BINARY_FOR_GPU, refused);
            for (int i = 0; i < 2; i++) assertThat(x.matmulT(y).to(DType.F32).toFloats()).containsExactly(expected, within(0.1f));
            assertThat(emulator.count("gemm_wgmma") - wgmma).isEqualTo(byWgmma);
            assertThat(emulator.count("gemm_mma") - mma).isEqualTo(byMma);
        } finally {
            if (cublas == null) System.clearProperty("graft.cuda.cublas");
            else System.setProperty("graft.cuda.cublas", cublas);
        }
    }

    /// The driver takes memory for itself when it loads kernels.
    @Test
    void memoryInReserveIsGivenBackToTheDriver() {
        Backend gpu = fresh();
        try (var _ = Scope.open(gpu)) {
            Tensor kept = Tensor.ones(Spec.of(DType.F32, 3));
            Tensor.ones(Spec.of(DType.F32, 1 << 20)).close();
            gpu.await();
            emulator.fail("cuModuleLoadData", CudaException.OUT_OF_MEMORY, 1);
            assertThat(kept.sum().item()).isEqualTo(3);
            assertThat(gpu.memory().reserved()).isLessThan(1 << 20);
        }
    }

    /// A block of such a chip has 99 KiB of shared memory, in which the gradient's tiles of the widest heads do not fit.
    @Test
    void wideHeadsOnAChipOfLessSharedMemory() {
        List<float[]> gradients = new ArrayList<>();
        for (String capability : List.of("8.0", "8.9")) {
            emulator.say("GRAFT_EMULATION_CAPABILITY", capability);
            try (var _ = Scope.open(fresh()); Tape tape = Tape.open()) {
                Tensor q = tape.watch(Tensor.randn(DType.F32, Shape.of(1, 3, 2, 200), 1)),
                        k = Tensor.randn(DType.F32, Shape.of(1, 5, 2, 200), 2);
                try (Grads grads = tape.backward(Attention.of(q, k, k, 0.1, false, null, null).sum())) {
                    gradients.add(grads.of(q).toFloats());
                }
            }
        }
        assertThat(gradients.getLast()).containsExactly(gradients.getFirst(), within(1e-4f));
    }

    @Test
    void machineCodeForOtherChipsGivesWayToPtx() {
        try (var _ = Scope.open(fresh())) {
            emulator.fail("cuModuleLoadData", NO_BINARY_FOR_GPU, 1);
            assertThat(Tensor.ones(Spec.of(DType.F32, 3)).toFloats()).containsOnly(1);
        }
    }

    @Test
    void aChipThatIsTooOld() {
        try (var _ = Scope.open(fresh())) {
            emulator.fail("cuModuleLoadData", NO_BINARY_FOR_GPU, 2);
            assertThatThrownBy(() -> Tensor.ones(Spec.of(DType.F32, 3))).isInstanceOf(TensorException.class)
                    .hasMessageContaining("the kernels of fill.cu do not run on cuda:0")
                    .hasMessageContaining("need 8.0 or more and a driver of CUDA 11.4 or newer, this one is of 13.0");
        }
    }

    /// What a bad launch leaves behind is told by the next call, whatever it is, and by all that follow.
    @ParameterizedTest
    @ValueSource(ints = {ILLEGAL_ADDRESS, LAUNCH_FAILED})
    void anErrorThatStays(int error) {
        try (var _ = Scope.open(fresh())) {
            Tensor t = Tensor.ones(Spec.of(DType.F32, 3));
            emulator.fail("cuLaunchKernel", error, 1);
            assertThatThrownBy(() -> t.sum()).isInstanceOf(TensorException.class)
                    .hasMessageStartingWith("cuda:0 (emulated device 0) can't be used any more in this process: cuLaunchKernel failed")
                    .hasMessageEndingWith("Its tensors are lost; start again, from the last checkpoint if there is one");
            assertThatThrownBy(t::toFloats).hasMessageContaining("can't be used any more");
            assertThatThrownBy(() -> Tensor.ones(Spec.of(DType.F32, 3))).hasMessageContaining("can't be used any more");
            t.close();
        }
    }

    @Test
    void aDeviceThatIsLost() {
        try (var _ = Scope.open(fresh())) {
            Tensor t = Tensor.ones(Spec.of(DType.F32, 3));
            emulator.fail("cuEventSynchronize", UNKNOWN, 1);
            assertThatThrownBy(t::toFloats).isInstanceOf(TensorException.class)
                    .hasMessageStartingWith(
                            "cuda:0 (emulated device 0) can't be used any more in this process: cuEventSynchronize failed with CUDA error 999");
        }
    }
}
