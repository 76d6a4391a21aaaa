package dev.graft.models.text;

import ai.djl.huggingface.tokenizers.jni.LibUtils;
import java.nio.file.Files;
import java.nio.file.Path;

/// Loads the native library inside the tokenizers jar, quietly: no telemetry, no download, and unpacked under the user's cache folder
/// (`$XDG_CACHE_HOME/graft`, else `~/.cache/graft`, else the temporary folder) instead of a folder of its own in the home directory.
///
/// Properties and environment variables of DJL that the user has set are left as they are.
final class NativeTokenizers {
    private static final String TELEMETRY_OFF = "OPT_OUT_TRACKING"; // https://docs.djl.ai/master/docs/telemetry.html
    private static final String OFFLINE = "ai.djl.offline";
    private static final String CACHE = "ENGINE_CACHE_DIR";

    private static boolean loaded;

    private NativeTokenizers() {}

    static synchronized void load() {
        if (loaded) {
            return;
        }
        if (System.getenv(TELEMETRY_OFF) == null && System.getProperty(TELEMETRY_OFF) == null) {
            System.setProperty(TELEMETRY_OFF, "true");
        }
        // Only while the library loads: offline, DJL takes the CPU library from the jar where it would else download one for CUDA.
        // A program that uses DJL for its models finds the settings as it made them.
        String offline = System.getProperty(OFFLINE);
        String cache = System.getProperty(CACHE);
        try {
            System.setProperty(OFFLINE, "true");
            if (cache == null && System.getenv(CACHE) == null && System.getenv("DJL_CACHE_DIR") == null
                    && System.getProperty("DJL_CACHE_DIR") == null) {
                System.setProperty(CACHE, cacheDir().toString());
            }
            LibUtils.checkStatus();
            loaded = true;
        } catch (RuntimeException | LinkageError e) {
            throw new TokenizerException("the native tokenizers library cannot be loaded on " + System.getProperty("os.name") + "/"
                    + System.getProperty("os.arch") + ": " + rootMessage(e)
                    + "; it exists for Linux and macOS on aarch64, Linux and Windows on x86_64", e);
        } finally {
            restore(OFFLINE, offline);
            restore(CACHE, cache);
        }
    }

    private static Path cacheDir() {
        String xdg = System.getenv("XDG_CACHE_HOME");
        Path root = xdg != null && !xdg.isBlank() ? Path.of(xdg) : Path.of(System.getProperty("user.home"), ".cache");
        Path dir = root.resolve("graft");
        try {
            Files.createDirectories(dir);
            if (Files.isWritable(dir)) {
                return dir;
            }
        } catch (java.io.IOException _) {
            // a home that cannot be written to, as in many containers
        }
        return Path.of(System.getProperty("java.io.tmpdir"), "graft-" + System.getProperty("user.name"));
    }

    private static void restore(String property, String value) {
        if (value == null) {
            System.clearProperty(property);
        } else {
            System.setProperty(property, value);
        }
    }

    private static String rootMessage(Throwable e) {
        while (e.getCause() != null) {
            e = e.getCause();
        }
        return e.getMessage() == null ? e.toString() : e.getMessage();
    }
}
