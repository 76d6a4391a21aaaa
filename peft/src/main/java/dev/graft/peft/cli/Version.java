package dev.graft.peft.cli;

import dev.graft.tensor.Backends;
import java.util.List;
import java.util.stream.Stream;
import picocli.CommandLine.IVersionProvider;

/// `graft --version`: the version, the JDK it runs on, and what it can compute with.
final class Version implements IVersionProvider {
    @Override
    public String[] getVersion() {
        String jdk = "JDK " + Runtime.version() + " (" + System.getProperty("java.vendor") + "), " + System.getProperty("os.name") + " "
                + System.getProperty("os.arch");
        List<String> backends = Backends.all().stream()
                .map(b -> "backend " + b.name() + ": " + b.description() + (b.isAvailable() ? "" : " (cannot run here)"))
                .toList();
        return Stream.concat(Stream.of("graft " + number(), jdk), backends.stream()).toArray(String[]::new);
    }

    /// From the jar's manifest, which classes in a folder have not.
    static String number() {
        String version = Version.class.getPackage().getImplementationVersion();
        return version == null ? "development build" : version;
    }
}
