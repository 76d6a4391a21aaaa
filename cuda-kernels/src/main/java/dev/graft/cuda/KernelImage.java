package dev.graft.cuda;

import dev.graft.cuda.driver.CudaException;
import dev.graft.tensor.TensorException;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.Map;
import java.util.zip.ZipEntry;
import java.util.zip.ZipInputStream;

/// The compiled kernels on one device. Each source file is a module of its own, loaded when one of its kernels is first wanted: from machine code for the chip, or PTX that the driver compiles.
final class KernelImage {
    private static final int INVALID_IMAGE = 200, NO_BINARY_FOR_GPU = 209, INVALID_PTX = 218, UNSUPPORTED_PTX_VERSION = 222;

    private final Device device;
    private final Map<String, Long> modules = new HashMap<>();

    KernelImage(Device device) {
        this.device = device;
    }

    /// What the build made, read once.
    private static final class Packed {
        static final Map<String, byte[]> FILES = read();
        static final Map<String, String> FILE_OF_KERNEL = index();

        private static Map<String, byte[]> read() {
            Map<String, byte[]> files = new HashMap<>();
            try (InputStream resource = KernelImage.class.getResourceAsStream("kernels.zip")) {
                if (resource == null) return files;
                ZipInputStream zip = new ZipInputStream(resource);
                for (ZipEntry e = zip.getNextEntry(); e != null; e = zip.getNextEntry()) files.put(e.getName(), zip.readAllBytes());
                return files;
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
        }

        private static Map<String, String> index() {
            Map<String, String> index = new HashMap<>();
            if (FILES.containsKey("index"))
                new String(FILES.get("index"), StandardCharsets.UTF_8).lines().map(l -> l.split(" ")).forEach(l -> index.put(l[0], l[1]));
            return index;
        }
    }

    long function(String kernel) {
        String file = Packed.FILE_OF_KERNEL.get(kernel);
        if (file == null)
            throw new TensorException(Packed.FILES.isEmpty()
                    ? "this build of Graft has no CUDA kernels, since there was no nvcc when it was built; build it again with nvcc on the PATH"
                    : "there is no CUDA kernel '" + kernel + "' in this build of Graft");
        long function = device.driver().function(modules.computeIfAbsent(file, this::load), kernel);
        if (function == 0)
            throw new TensorException("kernel '%s' was not compiled for %s, %s, of compute capability %.1f".formatted(kernel, device,
                    device.name(), device.capability() / 10.0));
        return function;
    }

    private long load(String file) {
        try {
            return load(Packed.FILES.get(file + ".fatbin"));
        } catch (CudaException e) {
            switch (e.code()) {
                case INVALID_IMAGE, NO_BINARY_FOR_GPU, INVALID_PTX, UNSUPPORTED_PTX_VERSION -> {
                }
                default -> throw e;
            }
        }
        try {
            return load(Packed.FILES.get(file + ".ptx"));
        } catch (CudaException e) {
            throw new TensorException(
                    "the kernels of %s.cu do not run on %s, %s, of compute capability %.1f: they need 8.0 or more and a driver of CUDA 11.4 or newer, this one is of %d.%d (%s)"
                            .formatted(file, device,
                                    device.name(), device.capability() / 10.0, device.driver().version() / 1000,
                                    device.driver().version() % 1000 / 10, e.getMessage()));
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
