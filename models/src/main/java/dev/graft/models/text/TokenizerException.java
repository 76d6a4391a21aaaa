package dev.graft.models.text;

/// A tokenizer's files are missing, malformed, or do not go together. The message names the file.
public final class TokenizerException extends RuntimeException {
    public TokenizerException(String message) {
        super(message);
    }

    public TokenizerException(String message, Throwable cause) {
        super(message, cause);
    }
}
