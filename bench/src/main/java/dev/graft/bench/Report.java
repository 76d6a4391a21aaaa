package dev.graft.bench;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;

/// RESULTS.md: every ledger in the results folder as a table under the machine and the command that made it.
final class Report {
    private Report() {
    }

    static String of(List<Path> files) throws IOException {
        StringBuilder text = new StringBuilder("""
                # Results

                Generated from `results/*.json` by `./graft bench report`; do not edit. A time is the median over fresh JVMs of their medians. Against a
                peer: above 1 Graft is the faster one. What is measured and how: [docs/benchmarks.md](../docs/benchmarks.md).
                """);
        for (Path file : files) {
            Ledger ledger = Ledger.read(file);
            Environment e = ledger.environment();
            text.append("\n## ").append(file.getFileName().toString().replaceAll("\\.json$", "")).append("\n\n");
            text.append(
                    "%s, %d cores, %s, JDK %s, %s, commit %s.%n%n".formatted(e.cpu(), e.cores(), e.os(), e.jdk(), e.date(), e.commit()));
            text.append("    ").append(e.command()).append("\n\n").append(ledger.tables());
        }
        return text.toString();
    }
}
