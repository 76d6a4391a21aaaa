package dev.graft.tensor;

/// A wrong use of tensors, scopes or tapes.
public sealed class TensorException extends RuntimeException permits ShapeException {
    public TensorException(String message) {
        super(message);
    }
}
