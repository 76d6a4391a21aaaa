package dev.graft.tensor;

/// What a tensor looks like without its values. Prints as `f32[2, 8, 128]`.
public record Spec(Shape shape, DType dtype) {
    public static Spec of(DType dtype, int... dims) {
        return new Spec(Shape.of(dims), dtype);
    }

    public Spec with(Shape other) {
        return new Spec(other, dtype);
    }

    public Spec with(DType other) {
        return new Spec(shape, other);
    }

    public long bytes() {
        return Math.multiplyExact(shape.size(), (long) dtype.bytes());
    }

    @Override
    public String toString() {
        return dtype.toString() + shape;
    }
}
