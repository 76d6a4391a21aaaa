package dev.graft.models.generate;

/// Generation cannot go on.
public final class GenerationException extends RuntimeException {
    public GenerationException(String message) {
        super("[generation] " + message);
    }
}
