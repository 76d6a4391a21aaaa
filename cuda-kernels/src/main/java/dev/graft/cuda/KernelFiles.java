package dev.graft.cuda;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.zip.ZipEntry;
import java.util.zip.ZipInputStream;

/// The kernels as the build packed them: `FILE.fatbin` and `FILE.ptx` where there was a compiler, `FILE.cu` and headers, and `index`, a line with kernel and FILE for each.
record KernelFiles(Map<String, byte[]> files) {
    private static final class Packed {
        static final KernelFiles FILES = read();

        private static KernelFiles read() {
            Map<String, byte[]> files = new HashMap<>();
            try (InputStream resource = KernelFiles.class.getResourceAsStream("kernels.zip")) {
                if (resource == null)
                    throw new IllegalStateException("kernels.zip is missing beside " + KernelFiles.class + "; Maven's build puts it there");
                ZipInputStream zip = new ZipInputStream(resource);
                for (ZipEntry e = zip.getNextEntry(); e != null; e = zip.getNextEntry()) files.put(e.getName(), zip.readAllBytes());
                return new KernelFiles(files);
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
        }
    }

    /// Those in the jar, read once.
    static KernelFiles packed() {
        return Packed.FILES;
    }

    /// File of each kernel.
    Map<String, String> index() {
        return text("index").lines().map(l -> l.split(" ")).collect(Collectors.toMap(l -> l[0], l -> l[1]));
    }

    /// Null where there is none.
    byte[] image(String file, String kind) {
        return files.get(file + "." + kind);
    }

    String source(String file) {
        return text(file + ".cu");
    }

    Map<String, String> headers() {
        return files.keySet().stream().filter(name -> name.endsWith(".cuh")).collect(Collectors.toMap(name -> name, this::text));
    }

    private String text(String name) {
        return new String(files.get(name), StandardCharsets.UTF_8);
    }
}
