package dev.graft.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.graft.cuda.driver.Nvrtc;
import dev.graft.cuda.driver.PanamaDriver;
import dev.graft.tensor.DType;
import dev.graft.tensor.Scope;
import dev.graft.tensor.Tensor;
import dev.graft.tensor.TensorException;
import dev.graft.tensor.backend.Backend;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import java.util.TreeSet;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/// Kernels of a build that had no nvcc.
class NvrtcTest {
    private static final String LIBRARY = "graft.cuda.nvrtc";

    /// The sources alone.
    private static KernelFiles sources() {
        Map<String, byte[]> files = new HashMap<>(KernelFiles.packed().files());
        files.keySet().removeIf(name -> name.endsWith(".fatbin") || name.endsWith(".ptx"));
        return new KernelFiles(files);
    }

    private static Backend emulated() {
        assumeTrue(Emulator.isThere(), "needs the emulated driver");
        return new CudaBackend(new Device(new PanamaDriver(System.getProperty("graft.cuda.driver")), 0, NvrtcTest::sources));
    }

    private static Nvrtc standIn() {
        assumeTrue(Emulator.isThere(), "needs the emulated driver");
        System.setProperty(LIBRARY, Path.of(System.getProperty("graft.cuda.driver")).resolveSibling("libnvrtc.so.13").toString());
        return Nvrtc.find().orElseThrow();
    }

    @AfterEach
    void forget() {
        System.clearProperty(LIBRARY);
    }

    @Test
    void kernelsAreCompiledWhereTheyRun() {
        standIn();
        try (var _ = Scope.open(emulated())) {
            assertThat(Tensor.range(DType.F32, 5).sum().item()).isEqualTo(10);
        }
    }

    @Test
    void whatTheCompilerSaysIsPassedOn() {
        Nvrtc compiler = standIn();
        assertThatThrownBy(() -> compiler.compile("bad.cu", "#include \"nowhere.cuh\"", Map.of(), "sm_80"))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContainingAll("NVRTC cannot compile bad.cu for sm_80:", "could not open source file \"nowhere.cuh\"");
    }

    @Test
    void withoutACompilerTheMessageSaysWhatToInstall() {
        System.setProperty(LIBRARY, "/nowhere/libnvrtc.so");
        try (var _ = Scope.open(emulated())) {
            assertThatThrownBy(() -> Tensor.range(DType.F32, 5)).isInstanceOf(TensorException.class)
                    .hasMessageContainingAll("has no compiled CUDA kernels", "install CUDA's libnvrtc", "-Dgraft.cuda.nvrtc=PATH");
        }
    }

    @Test
    void everyFileCompilesForEveryChip() {
        Nvrtc compiler = Nvrtc.find().orElse(null);
        assumeTrue(compiler != null, "needs NVIDIA's libnvrtc");
        KernelFiles files = sources();
        for (String chip : new String[] {"sm_80", "sm_89", "sm_90a"}) {
            for (String file : new TreeSet<>(files.index().values()))
                assertThat(compiler.compile(file, files.source(file), files.headers(), chip)).as(file)
                        .startsWith((byte) 0x7F, (byte) 'E', (byte) 'L', (byte) 'F');
        }
    }
}
