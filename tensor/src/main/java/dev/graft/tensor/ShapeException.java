package dev.graft.tensor;

/// Shapes, types or attributes that an operation cannot work with. The message names the operation, what it requires, and what came.
public final class ShapeException extends TensorException {
    public ShapeException(String message) {
        super(message);
    }
}
