package dev.graft.tensor.backend;

import dev.graft.tensor.DType;
import dev.graft.tensor.Shape;
import dev.graft.tensor.Spec;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;

/// Where a tensor's elements lie: element `(i, j, …)` is at `offset + i·strides[0] + j·strides[1] + …`, counted in elements. A stride of 0
/// repeats an axis (broadcasting).
public record View(Storage storage, DType dtype, Shape shape, long[] strides, long offset) {

    /// The whole of a fresh block, row-major.
    public static View of(Storage storage, Spec spec) {
        return new View(storage, spec.dtype(), spec.shape(), spec.shape().strides(), 0);
    }

    public Spec spec() {
        return new Spec(shape, dtype);
    }

    public int rank() {
        return shape.rank();
    }

    public int dim(int axis) {
        return shape.dim(axis);
    }

    public long stride(int axis) {
        return strides[shape.axis(axis)];
    }

    public long size() {
        return shape.size();
    }

    /// Product of all sizes but the last: the number of rows when the last axis is the row.
    public long rows() {
        return rank() == 0 ? 1 : shape.range(0, rank() - 1).size();
    }

    /// Host memory of the block; element addresses start at [#byteOffset()].
    public MemorySegment segment() {
        return storage.segment();
    }

    public long byteOffset() {
        return offset * dtype.bytes();
    }

    /// Whether the elements lie row-major without gaps.
    public boolean isContiguous() {
        return isContiguousFrom(0);
    }

    /// Whether the axes from `axis` on lie row-major without gaps.
    public boolean isContiguousFrom(int axis) {
        long step = 1;
        for (int i = rank() - 1; i >= axis; i--) {
            if (shape.dim(i) != 1 && strides[i] != step) return false;
            step *= shape.dim(i);
        }
        return true;
    }

    /// The same elements under another shape. The view must be contiguous and the sizes must agree.
    public View reshape(Shape other) {
        if (!isContiguous() || other.size() != size()) throw new IllegalArgumentException("cannot see " + this + " as " + other);
        return new View(storage, dtype, other, other.strides(), offset);
    }

    public View permute(int... axes) {
        int[] d = new int[axes.length];
        long[] s = new long[axes.length];
        for (int i = 0; i < axes.length; i++) {
            d[i] = shape.dim(axes[i]);
            s[i] = strides[axes[i]];
        }
        return new View(storage, dtype, Shape.of(d), s, offset);
    }

    /// Elements `from` to `to` (exclusive) of one axis.
    public View slice(int axis, int from, int to) {
        int a = shape.axis(axis);
        return new View(storage, dtype, shape.with(a, to - from), strides, offset + from * strides[a]);
    }

    /// One element of one axis; the axis disappears.
    public View at(int axis, int index) {
        int a = shape.axis(axis);
        long[] s = new long[strides.length - 1];
        for (int i = 0, j = 0; i < strides.length; i++) if (i != a) s[j++] = strides[i];
        return new View(storage, dtype, shape.without(a), s, offset + index * strides[a]);
    }

    /// Stretched to a larger shape: axes of size 1 and missing leading axes repeat.
    public View expand(Shape to) {
        long[] s = new long[to.rank()];
        for (int i = 1; i <= rank(); i++) {
            int from = rank() - i;
            if (shape.dim(from) == to.dim(-i)) s[to.rank() - i] = strides[from];
            else if (shape.dim(from) != 1) throw new IllegalArgumentException("cannot stretch " + shape + " to " + to);
        }
        return new View(storage, dtype, to, s, offset);
    }

    @Override
    public String toString() {
        return spec() + (isContiguous() ? "" : " strides " + Arrays.toString(strides));
    }
}
