package dev.graft.models.generate;

/// Generation cannot go on.
public final class GenerationException extends RuntimeException {
    public GenerationException(String message) {
        super("[generation] " + message);
    }

    static GenerationException ruledOut() {
        return new GenerationException("every token is ruled out; no_repeat_ngram_size or min_new_tokens leaves no way to go on");
    }
}
