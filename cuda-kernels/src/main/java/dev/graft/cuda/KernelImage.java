package dev.graft.cuda;

import dev.graft.cuda.driver.CudaException;
import dev.graft.cuda.driver.Nvrtc;
import dev.graft.tensor.TensorException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.Map;

/// The kernels on one device. Each source file is a module of its own, loaded when one of its kernels is first wanted: from machine code for the chip, from PTX that the driver compiles, or, when there was no
/// compiler where Graft was built, from the source by NVRTC.
final class KernelImage {
    private static final long NONE = -1;

    private final Device device;
    private final KernelFiles files;
    private final Map<String, String> index;
    private final Map<String, Long> modules = new HashMap<>();

    KernelImage(Device device, KernelFiles files) {
        this.device = device;
        this.files = files;
        index = files.index();
    }

    /// 0 where a kernel was not compiled for this chip, as those for tensor cores of one kind of chip alone.
    long function(String kernel) {
        String file = index.get(kernel);
        if (file == null) throw new TensorException("there is no CUDA kernel '" + kernel + "' in this build of Graft");
        long module = modules.computeIfAbsent(file, this::load);
        return module == NONE ? 0 : device.driver().function(module, kernel);
    }

    TensorException missing(String kernel) {
        return new TensorException("kernel '%s' was not compiled for %s".formatted(kernel, chip()));
    }

    private String chip() {
        return "%s, %s, of compute capability %.1f".formatted(device, device.name(), device.capability() / 10.0);
    }

    private long load(String file) {
        byte[] machineCode = files.image(file, "fatbin");
        if (machineCode == null) return load(compiled(file));
        try {
            return load(machineCode);
        } catch (CudaException e) {
            if (e.isFatal() || e.code() == CudaException.OUT_OF_MEMORY) throw e;  // otherwise the driver is older than the machine code, which it says in many ways
        }
        byte[] ptx = files.image(file, "ptx");
        boolean isOfHopper = new String(ptx, StandardCharsets.ISO_8859_1).contains(".target sm_90a");
        if (isOfHopper && device.capability() != 90) return NONE;
        try {
            return load(ptx);
        } catch (CudaException e) {
            if (isOfHopper && !e.isFatal() && e.code() != CudaException.OUT_OF_MEMORY) return NONE;     // a driver from before Hopper
            int version = device.driver().version();
            throw new TensorException(
                    "the kernels of %s.cu do not run on %s: they need 8.0 or more and a driver of CUDA 11.4 or newer, this one is of %d.%d (%s)"
                            .formatted(file, chip(), version / 1000, version % 1000 / 10, e.getMessage()));
        }
    }

    private byte[] compiled(String file) {
        Nvrtc compiler = Nvrtc.find().orElseThrow(() -> new TensorException(
                "this build of Graft has no compiled CUDA kernels, and there is no NVRTC to compile them here: build Graft where nvcc is on the PATH, or install CUDA's libnvrtc (of 12 or 13) where the system finds libraries, or name it with -Dgraft.cuda.nvrtc=PATH"));
        String chip = "sm_" + device.capability() + (device.capability() == 90 ? "a" : "");
        try {
            return compiler.compile(file + ".cu", files.source(file), files.headers(), chip);
        } catch (IllegalArgumentException e) {
            throw new TensorException(e.getMessage());
        }
    }

    private long load(byte... image) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment memory = arena.allocate(image.length + 1, 64);         // PTX ends with a 0
            MemorySegment.copy(MemorySegment.ofArray(image), 0, memory, 0, image.length);
            return device.driver().loadModule(memory);
        }
    }
}
