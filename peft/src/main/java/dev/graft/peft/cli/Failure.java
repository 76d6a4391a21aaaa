package dev.graft.peft.cli;

import java.io.UncheckedIOException;
import java.nio.file.AccessDeniedException;
import java.nio.file.DirectoryNotEmptyException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.NoSuchFileException;
import java.nio.file.NotDirectoryException;
import java.util.concurrent.ExecutionException;

/// What is said to a person when a command fails.
final class Failure {
    private Failure() {
    }

    /// One paragraph.
    static String describe(Throwable e) {
        return paragraph(switch (e) {
            case UncheckedIOException io -> describe(io.getCause());
            case ExecutionException wrapped when wrapped.getCause() != null -> describe(wrapped.getCause());
            case NoSuchFileException file -> "there is no file " + file.getFile();
            case NotDirectoryException file -> file.getFile() + " is not a folder";
            case FileAlreadyExistsException file -> file.getFile() + " exists already";
            case DirectoryNotEmptyException file -> "the folder " + file.getFile() + " is not empty";
            case AccessDeniedException file -> "no permission to use " + file.getFile();
            case OutOfMemoryError heap when "Java heap space".equals(heap.getMessage()) -> heap.getMessage()
                    + "; GRAFT_JAVA_OPTS=-Xmx8g would allow a heap of 8 GiB";
            case RuntimeException bug when isBug(bug) -> "a mistake in Graft: " + bug + "; --stacktrace says where";
            case Throwable other when other.getMessage() == null -> other.getClass().getName() + "; --stacktrace says where";
            case Throwable other -> other.getMessage();
        });
    }

    /// What a program throws when it is wrong itself, as opposed to what it was given.
    private static boolean isBug(RuntimeException e) {
        return e instanceof NullPointerException || e instanceof IndexOutOfBoundsException || e instanceof ClassCastException
                || e instanceof ArithmeticException;
    }

    private static String paragraph(String message) {
        return message.strip().replaceAll("\\s*\\R\\s*\\R", "\n");
    }
}
