package dev.graft.peft.eval;

/// A data file cannot be used. The message names the file, and the record and field if there is one.
public final class DataException extends RuntimeException {
    public DataException(String message) {
        super(message);
    }

    public DataException(String message, Throwable cause) {
        super(message, cause);
    }
}
