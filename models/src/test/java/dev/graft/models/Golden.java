package dev.graft.models;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URI;
import java.net.URISyntaxException;
import java.nio.file.FileSystem;
import java.nio.file.FileSystems;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.stream.Stream;

/// Reference results that come with the project: what published implementations compute on tiny checkpoints. `golden/README.md` among the test
/// resources says what is in which folder, and the tolerances.
public final class Golden {
    private static final String README = "/golden/README.md";
    private static final Map<String, Path> UNPACKED = new ConcurrentHashMap<>();

    private Golden() {}

    /// A file or folder, as in `Golden.path("models/llama-mha")`; unpacked once where the tests of `models` come as a jar, since checkpoints are mapped.
    public static Path path(String path) {
        URI readme = readme();
        Path found = readme.getScheme().equals("jar")
                ? UNPACKED.computeIfAbsent(path, p -> unpack(readme, p))
                : Path.of(readme).resolveSibling(path);
        if (!Files.exists(found)) throw new AssertionError("there is no golden " + path);
        return found;
    }

    /// The folders in a folder, sorted, as in `Golden.folders("peft/bloom-h4")`.
    public static List<Path> folders(String path) {
        try (Stream<Path> list = Files.list(path(path))) {
            return list.filter(Files::isDirectory).sorted().toList();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static URI readme() {
        try {
            return Golden.class.getResource(README).toURI();
        } catch (URISyntaxException e) {
            throw new AssertionError(e);
        }
    }

    private static Path unpack(URI readme, String path) {
        try (FileSystem jar = FileSystems.newFileSystem(readme, Map.of())) {
            Path source = jar.getPath("/golden", path), target = Files.createTempDirectory("graft-golden").resolve("golden");
            Runtime.getRuntime().addShutdownHook(new Thread(() -> delete(target.getParent())));
            try (Stream<Path> files = Files.walk(source)) {
                for (Path file : files.toList()) {
                    Path to = target.resolve(jar.getPath("/golden").relativize(file).toString());
                    if (Files.isDirectory(file)) Files.createDirectories(to);
                    else Files.copy(file, Files.createDirectories(to.getParent()).resolve(to.getFileName()));
                }
            }
            return target.resolve(path);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static void delete(Path folder) {
        try (Stream<Path> files = Files.walk(folder)) {
            files.sorted(Comparator.reverseOrder()).forEach(f -> f.toFile().delete());
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
