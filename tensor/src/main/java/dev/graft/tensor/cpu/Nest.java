package dev.graft.tensor.cpu;

import dev.graft.tensor.Shape;
import dev.graft.tensor.backend.View;
import java.util.Arrays;
import java.util.List;

/// Views of one shape, walked together: neighbouring axes over which all of them run on evenly are taken for one, the last is the row.
///
/// ```
/// [2, 3, 4] and [2, 3, 4] contiguous: 1 row of 24        [2, 3, 4] and a vector [4] stretched to it: 6 rows of 4
/// ```
final class Nest {
    private final long[] sizes;
    private final long[][] strides;
    private final long[] starts;
    private final long inner;
    private final long rows;

    private Nest(long[] sizes, long[][] strides, long[] starts) {
        this.sizes = sizes;
        this.strides = strides;
        this.starts = starts;
        inner = sizes[sizes.length - 1];
        long product = 1;
        for (int i = 0; i < sizes.length - 1; i++) product *= sizes[i];
        rows = inner == 0 ? 0 : product;
    }

    static Nest of(List<View> views) {
        Shape shape = views.getFirst().shape();
        int rank = shape.rank();
        int count = views.size();
        long[] sizes = new long[Math.max(1, rank)];
        long[][] strides = new long[sizes.length][count];
        int at = sizes.length;                                                  // axes at, at + 1, … are settled
        for (int axis = rank - 1; axis >= 0; axis--) {
            if (shape.dim(axis) == 1) continue;
            if (at < sizes.length && continues(views, axis, sizes[at], strides[at])) {
                sizes[at] *= shape.dim(axis);
            } else {
                at--;
                sizes[at] = shape.dim(axis);
                for (int v = 0; v < count; v++) strides[at][v] = bytes(views.get(v), axis);
            }
        }
        if (at == sizes.length) {
            at--;
            sizes[at] = 1;
            for (int v = 0; v < count; v++) strides[at][v] = views.get(v).dtype().bytes();
        }
        long[] starts = views.stream().mapToLong(View::byteOffset).toArray();
        return new Nest(Arrays.copyOfRange(sizes, at, sizes.length), Arrays.copyOfRange(strides, at, strides.length), starts);
    }

    /// Whether each view's axis goes on where the axis inside it ends.
    private static boolean continues(List<View> views, int axis, long size, long... inside) {
        for (int v = 0; v < views.size(); v++) if (bytes(views.get(v), axis) != inside[v] * size) return false;
        return true;
    }

    private static long bytes(View view, int axis) {
        return view.stride(axis) * view.dtype().bytes();
    }

    /// Elements in a row.
    long inner() {
        return inner;
    }

    long rows() {
        return rows;
    }

    /// Bytes from one element of a row to the next.
    long step(int view) {
        return strides[strides.length - 1][view];
    }

    /// Where each view's row begins, in bytes.
    void locate(long row, long... at) {
        System.arraycopy(starts, 0, at, 0, at.length);
        for (int axis = sizes.length - 2; axis >= 0; axis--) {
            long i = row % sizes[axis];
            row /= sizes[axis];
            for (int v = 0; v < at.length; v++) at[v] += i * strides[axis][v];
        }
    }
}
