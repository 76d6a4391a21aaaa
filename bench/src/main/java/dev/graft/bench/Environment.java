package dev.graft.bench;

import dev.graft.tensor.backend.Backend;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.LocalDate;
import java.util.List;
import java.util.stream.Collectors;

/// Where and how figures were measured.
public record Environment(String date, String cpu, int cores, String jdk, String os, String commit, String command) {
    static Environment here(Backend backend, List<String> args) {
        String computes = backend.name().equals("cpu") ? processor() : backend.description() + "; host " + processor();
        return new Environment(LocalDate.now().toString(), computes, Runtime.getRuntime().availableProcessors(),
                Runtime.version().toString(),
                System.getProperty("os.name") + " " + System.getProperty("os.arch"), System.getProperty("graft.commit", describe()),
                "./graft bench " + args.stream().map(Environment::quoted).collect(Collectors.joining(" ")));
    }

    private static String quoted(String arg) {
        return arg.matches("[\\w./=,:+-]+") ? arg : "'" + arg + "'";
    }

    private static String processor() {
        try {
            return Files.readAllLines(Path.of("/proc/cpuinfo")).stream().filter(l -> l.startsWith("model name")).findFirst()
                    .map(l -> l.substring(l.indexOf(':') + 2)).orElse("unknown") + features();
        } catch (IOException e) {
            return System.getProperty("os.arch");
        }
    }

    private static String features() throws IOException {
        String flags = Files.readAllLines(Path.of("/proc/cpuinfo")).stream().filter(l -> l.startsWith("flags")).findFirst().orElse("");
        return flags.contains("avx512f") ? " (AVX-512)" : flags.contains("avx2") ? " (AVX2)" : "";
    }

    private static String describe() {
        try {
            Process git = new ProcessBuilder("git", "describe", "--always", "--dirty").redirectErrorStream(true).start();
            String out = new String(git.getInputStream().readAllBytes()).strip();
            return git.waitFor() == 0 ? out : "unknown";
        } catch (IOException e) {
            return "unknown";
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            return "unknown";
        }
    }
}
