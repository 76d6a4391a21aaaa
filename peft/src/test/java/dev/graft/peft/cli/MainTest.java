package dev.graft.peft.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.NoSuchFileException;
import java.util.concurrent.Callable;
import org.junit.jupiter.api.Test;
import picocli.CommandLine;
import picocli.CommandLine.Command;

class MainTest extends CommandTest {

    private Throwable failure;

    private int failing(Throwable e, Object... args) {
        failure = e;
        return graft(args);
    }

    @Override
    CommandLine commandLine() {
        return failure == null ? Main.commandLine() : Main.commandLine().addSubcommand(new Failing(failure));
    }

    @Command(name = "break")
    private record Failing(Throwable e) implements Callable<Integer> {
        @Override
        public Integer call() throws Exception {
            switch (e) {
                case Exception exception -> throw exception;
                case Throwable error -> throw (Error) error;
            }
        }
    }

    @Test
    void alone_it_prints_help_and_succeeds() {
        assertThat(graft()).isZero();
        assertThat(out.toString()).startsWith("Usage: graft").contains("--version", "--stacktrace");
        assertThat(err.toString()).isEmpty();
    }

    @Test
    void version_names_the_jdk_and_every_backend() {
        assertThat(graft("--version")).isZero();
        assertThat(out.toString()).startsWith("graft ").contains("JDK 25", "backend cpu: ", "backend reference: ", "backend cuda:0: ");
    }

    @Test
    void an_unknown_option_is_a_usage_error_that_names_it() {
        assertThat(graft("--hlep")).isEqualTo(2);
        assertThat(err.toString()).contains("graft: Unknown option: '--hlep'", "--help").doesNotContain("\tat ");
        assertThat(out.toString()).isEmpty();
    }

    @Test
    void a_backend_that_is_not_there_is_a_usage_error_that_lists_those_that_are() {
        for (Object[] args : new Object[][] {{"--backend", "cuda:77", "methods"}, {"methods", "--backend", "cuda:77"}}) {
            assertThat(graft(args)).isEqualTo(2);
            assertThat(err.toString()).contains("graft: no backend 'cuda:77'; found [", "cpu");
        }
    }

    @Test
    void an_unknown_command_is_a_usage_error_that_names_it() {
        assertThat(graft("tnue")).isEqualTo(2);
        assertThat(err.toString()).contains("'tnue'");
    }

    @Test
    void a_failure_is_told_in_one_paragraph_without_a_stack_trace() {
        assertThat(failing(new IOException("the file is cut short\n\n  at byte 7"), "break")).isEqualTo(1);
        assertThat(err.toString()).isEqualToNormalizingNewlines("graft break: the file is cut short\n  at byte 7\n");
    }

    @Test
    void stacktrace_says_where_a_failure_came_from_before_and_after_the_command() {
        assertThat(failing(new IOException("cut short"), "--stacktrace", "break")).isEqualTo(1);
        assertThat(err.toString()).contains("graft break: cut short", "\tat " + MainTest.class.getName());
        assertThat(failing(new IOException("cut short"), "break", "--stacktrace")).isEqualTo(1);
        assertThat(err.toString()).contains("\tat " + MainTest.class.getName());
    }

    @Test
    void a_missing_file_is_called_missing() {
        assertThat(failing(new UncheckedIOException(new NoSuchFileException("model/config.json")), "break")).isEqualTo(1);
        assertThat(err.toString()).contains("there is no file model/config.json");
    }

    @Test
    void an_exception_without_a_message_names_itself() {
        assertThat(failing(new IllegalStateException(), "break")).isEqualTo(1);
        assertThat(err.toString()).contains("IllegalStateException", "--stacktrace");
    }

    @Test
    void an_exhausted_heap_says_how_to_get_a_larger_one() {
        assertThat(failing(new OutOfMemoryError("Java heap space"), "break")).isEqualTo(1);
        assertThat(err.toString()).contains("Java heap space", "GRAFT_JAVA_OPTS").doesNotContain("\tat ");
    }
}
