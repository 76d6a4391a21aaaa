package dev.graft.cuda;

import dev.graft.cuda.driver.CudaException;
import dev.graft.cuda.driver.Nvrtc;
import dev.graft.tensor.TensorException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.HashMap;
import java.util.Map;

/// The kernels on one device. Each source file is a module of its own, loaded when one of its kernels is first wanted: from machine code for the chip, from PTX that the driver compiles, or, when there was no
/// compiler where Graft was built, from the source by NVRTC.
final class KernelImage {
    private static final int INVALID_IMAGE = 200, NO_BINARY_FOR_GPU = 209, INVALID_PTX = 218, UNSUPPORTED_PTX_VERSION = 222;

    private final Device device;
    private final KernelFiles files;
    private final Map<String, String> index;
    private final Map<String, Long> modules = new HashMap<>();

    KernelImage(Device device, KernelFiles files) {
        this.device = device;
        this.files = files;
        index = files.index();
    }

    long function(String kernel) {
        String file = index.get(kernel);
        if (file == null) throw new TensorException("there is no CUDA kernel '" + kernel + "' in this build of Graft");
        long function = device.driver().function(modules.computeIfAbsent(file, this::load), kernel);
        if (function == 0) throw new TensorException("kernel '%s' was not compiled for %s".formatted(kernel, chip()));
        return function;
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
            switch (e.code()) {
                case INVALID_IMAGE, NO_BINARY_FOR_GPU, INVALID_PTX, UNSUPPORTED_PTX_VERSION -> {
                }
                default -> throw e;
            }
        }
        try {
            return load(files.image(file, "ptx"));
        } catch (CudaException e) {
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
