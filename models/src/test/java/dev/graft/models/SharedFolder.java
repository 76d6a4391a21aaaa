package dev.graft.models;

import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.nio.file.Files;
import java.nio.file.Path;

/// Reference files that are too large, or not ours, to commit. They lie in a folder `shared` inside or beside the checkout or one of its
/// ancestors, or where the system property `graft.shared` says. A test that needs one is skipped with its name where the folder is
/// absent, and fails where the environment variable `CI` is `true`.
public final class SharedFolder {
    private SharedFolder() {}

    /// The file or folder `path` in `shared`, as in `SharedFolder.path("golden/stories260K")`.
    public static Path path(String path) {
        Path found = root().resolve(path);
        if (!Files.exists(found)) {
            String message = "shared/" + path + " is absent; set -Dgraft.shared=<folder> to run this test";
            if (Boolean.parseBoolean(System.getenv("CI"))) {
                throw new AssertionError(message);
            }
            assumeTrue(false, message);
        }
        return found;
    }

    private static Path root() {
        String property = System.getProperty("graft.shared");
        if (property != null) {
            return Path.of(property);
        }
        for (Path dir = Path.of("").toAbsolutePath(); dir != null; dir = dir.getParent()) {
            if (Files.isDirectory(dir.resolve("shared/golden"))) {
                return dir.resolve("shared");
            }
        }
        return Path.of("shared");
    }
}
