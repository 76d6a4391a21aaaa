package dev.graft.models.io;

import java.nio.file.Path;

/// A checkpoint that cannot be read or written. The message names the file, the tensor or key, what was found and what would be right.
public final class CheckpointException extends RuntimeException {
    private static final int LONGEST_QUOTE = 120;

    public CheckpointException(Path file, String problem) {
        this(file, problem, null);
    }

    public CheckpointException(Path file, String problem, Throwable cause) {
        super(file + ": " + problem, cause);
    }

    /// A problem in text that did not come from a file; `source` says where it came from.
    CheckpointException(String source, String problem, Throwable cause) {
        super(source + ": " + problem, cause);
    }

    static CheckpointException tensor(Path file, String name, String problem) {
        return new CheckpointException(file, "tensor " + quote(name) + " " + problem);
    }

    /// Text out of a file, fit for a message: in quotes, shortened, and without control characters, which could garble a terminal.
    static String quote(String text) {
        var quoted = new StringBuilder("'");
        text.codePoints().limit(LONGEST_QUOTE).forEach(c -> {
            if (Character.isISOControl(c) || Character.getType(c) == Character.FORMAT || Character.getType(c) == Character.SURROGATE) {
                quoted.append(String.format("\\u%04x", c));
            } else {
                quoted.appendCodePoint(c);
            }
        });
        return quoted.append(text.codePointCount(0, text.length()) > LONGEST_QUOTE ? "…'" : "'").toString();
    }
}
