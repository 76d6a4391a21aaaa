package dev.graft.cuda;

import dev.graft.tensor.Shape;
import dev.graft.tensor.backend.View;

/// A batch of matrices: [...batch, rows, columns], however they lie.
record Matrices(View view) {
    int rows() {
        return view.dim(-2);
    }

    int columns() {
        return view.dim(-1);
    }

    /// The first element of each.
    View firsts() {
        return view.at(-1, 0).at(-1, 0);
    }

    Matrices transposed() {
        int[] axes = new int[view.rank()];
        for (int i = 0; i < axes.length; i++) axes[i] = i;
        axes[axes.length - 1] = axes.length - 2;
        axes[axes.length - 2] = axes.length - 1;
        return new Matrices(view.permute(axes));
    }

    Matrices expanded(Shape batch) {
        return new Matrices(view.expand(batch.concat(view.shape().range(view.rank() - 2, view.rank()))));
    }

    /// All of a batch as one, one below another, where they lie so; null where not.
    Matrices joined() {
        View v = view;
        for (int axis = 0; axis < v.rank() - 2; axis++) {
            if (v.dim(axis) != 1 && v.stride(axis) != v.stride(axis + 1) * v.dim(axis + 1)) return null;
        }
        int rows = Math.toIntExact(v.rows());
        return new Matrices(
                new View(v.storage(), v.dtype(), Shape.of(rows, v.dim(-1)), new long[] {v.stride(-2), v.stride(-1)}, v.offset()));
    }
}
