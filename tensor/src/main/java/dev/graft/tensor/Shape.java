package dev.graft.tensor;

import java.util.Arrays;
import java.util.stream.Collectors;

/// The sizes of a tensor's axes, outermost first. A value: equal when the sizes are. Axes may be given from the end, `-1` being the last.
public final class Shape {
    public static final Shape SCALAR = new Shape();

    private final int[] dims;

    private Shape(int... dims) {
        this.dims = dims;
    }

    /// Throws [ShapeException] when a size is negative.
    public static Shape of(int... dims) {
        for (int d : dims) {
            if (d < 0) throw new ShapeException("sizes must not be negative, got " + Arrays.toString(dims));
        }
        return dims.length == 0 ? SCALAR : new Shape(dims.clone());
    }

    public int rank() {
        return dims.length;
    }

    public int dim(int axis) {
        return dims[axis(axis)];
    }

    public int[] dims() {
        return dims.clone();
    }

    /// Number of elements; 1 for a scalar.
    public long size() {
        long n = 1;
        for (int d : dims) n = Math.multiplyExact(n, (long) d);
        return n;
    }

    /// The axis as a number from 0; throws when this shape has no such axis.
    public int axis(int axis) {
        int a = axis < 0 ? axis + dims.length : axis;
        if (a < 0 || a >= dims.length) throw new ShapeException("axis " + axis + " does not exist in " + this);
        return a;
    }

    /// This shape with one size replaced.
    public Shape with(int axis, int size) {
        int[] d = dims.clone();
        d[axis(axis)] = size;
        return of(d);
    }

    public Shape without(int axis) {
        int a = axis(axis);
        int[] d = new int[dims.length - 1];
        for (int i = 0, j = 0; i < dims.length; i++) if (i != a) d[j++] = dims[i];
        return of(d);
    }

    /// The axes `from` (inclusive) to `to` (exclusive), both from 0.
    public Shape range(int from, int to) {
        return of(Arrays.copyOfRange(dims, from, to));
    }

    public Shape concat(Shape other) {
        int[] d = Arrays.copyOf(dims, dims.length + other.dims.length);
        System.arraycopy(other.dims, 0, d, dims.length, other.dims.length);
        return of(d);
    }

    /// The shape both broadcast to: aligned at the last axis, a size of 1 stretches to the other's.
    public Shape broadcast(Shape other) {
        int rank = Math.max(rank(), other.rank());
        int[] d = new int[rank];
        for (int i = 1; i <= rank; i++) {
            int a = i <= rank() ? dims[rank() - i] : 1;
            int b = i <= other.rank() ? other.dims[other.rank() - i] : 1;
            if (a != b && a != 1 && b != 1) throw new ShapeException(this + " and " + other + " do not broadcast: " + a + " against " + b);
            d[rank - i] = a == 1 ? b : a;
        }
        return of(d);
    }

    /// Row-major strides in elements.
    public long[] strides() {
        long[] s = new long[dims.length];
        long step = 1;
        for (int i = dims.length - 1; i >= 0; i--) {
            s[i] = step;
            step *= dims[i];
        }
        return s;
    }

    @Override
    public boolean equals(Object o) {
        return o instanceof Shape s && Arrays.equals(dims, s.dims);
    }

    @Override
    public int hashCode() {
        return Arrays.hashCode(dims);
    }

    @Override
    public String toString() {
        return Arrays.stream(dims).mapToObj(Integer::toString).collect(Collectors.joining(", ", "[", "]"));
    }
}
