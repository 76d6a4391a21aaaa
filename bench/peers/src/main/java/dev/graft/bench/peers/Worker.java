package dev.graft.bench.peers;

import dev.graft.bench.PeakResident;
import java.io.BufferedReader;
import java.io.BufferedWriter;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.util.List;

/// A program that works a line at a time: it says `ready`, then does what each line tells it and answers with one. Its memory is what is
/// reported of the bench. It ends with this JVM, not before: the last figures are read after a bench's own end.
final class Worker {
    private final String name;
    private final Process process;
    private final BufferedWriter in;
    private final BufferedReader out;

    /// @param folder where it runs
    Worker(Path folder, List<String> command) {
        name = command.getFirst();
        try {
            process = new ProcessBuilder(command).directory(folder.toFile()).redirectError(ProcessBuilder.Redirect.INHERIT).start();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        in = process.outputWriter();
        out = process.inputReader();
        PeakResident.watch(process.toHandle());
        Runtime.getRuntime().addShutdownHook(new Thread(this::end));
        String first = answer();
        if (!first.equals("ready")) throw new IllegalStateException(name + " says '" + first + "' in place of 'ready'");
    }

    /// Sends a line and waits for the answer.
    String ask(String line) {
        try {
            in.write(line);
            in.newLine();
            in.flush();
        } catch (IOException e) {
            throw new UncheckedIOException(name + " takes no more lines", e);
        }
        return answer();
    }

    private String answer() {
        try {
            String line = out.readLine();
            if (line == null) throw new IllegalStateException(name + " ended with status " + process.waitFor() + "; what it said is above");
            return line;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException("interrupted while waiting for " + name, e);
        }
    }

    private void end() {
        process.destroy();
        try {
            process.waitFor();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }
}
