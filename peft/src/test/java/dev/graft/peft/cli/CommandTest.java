package dev.graft.peft.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import picocli.CommandLine;

/// What tests of commands share: giving one as a shell does.
abstract class CommandTest {
    /// What the last command printed.
    StringWriter out = new StringWriter();
    StringWriter err = new StringWriter();

    /// Runs a command and returns its exit status. Texts that are generated go to the process's own output as they come. No mistake is told by a stack trace.
    final int graft(Object... args) {
        out = new StringWriter();
        err = new StringWriter();
        PrintStream before = System.out;
        ByteArrayOutputStream generated = new ByteArrayOutputStream();
        System.setOut(new PrintStream(generated, false, StandardCharsets.UTF_8));
        try {                                                                    // a command line made before would print to what System.out was then
            return Main.execute(commandLine().setOut(new PrintWriter(out)).setErr(new PrintWriter(err)),
                    Arrays.stream(args).map(Object::toString).toArray(String[]::new));
        } finally {
            System.out.flush();
            System.setOut(before);
            out.write(generated.toString(StandardCharsets.UTF_8));
            if (!List.of(args).contains("--stacktrace")) assertThat(err.toString()).doesNotContain("\tat ");
        }
    }

    /// With commands of the test's own, where it has any.
    CommandLine commandLine() {
        return Main.commandLine();
    }

    /// What tests of a class need once, made by a command.
    static void prepare(Object... args) {
        CommandTest once = new CommandTest() {
        };
        assertThat(once.graft(args)).as(once.err.toString()).isZero();
    }

    static Object[] join(Object[] first, Object... more) {
        return Stream.of(first, more).flatMap(Stream::of).toArray();
    }
}
