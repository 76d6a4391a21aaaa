package dev.graft.models.io;

import dev.graft.tensor.Shape;
import java.nio.file.Path;

/// Sizes out of a file, checked before anything is computed with them.
final class Bounds {
    /// More elements than any file can hold, and few enough that sizes in bits do not overflow.
    private static final long MAX_ELEMENTS = Long.MAX_VALUE / 128;

    private Bounds() {}

    /// The shape with these sizes, whose product is sure not to overflow.
    static Shape shape(Path file, String name, long[] sizes) {
        int[] dims = new int[sizes.length];
        long elements = 1;
        for (int i = 0; i < sizes.length; i++) {
            long size = sizes[i];
            if (size < 0 || size > Integer.MAX_VALUE)
                throw CheckpointException.tensor(file, name,
                        "has a size of " + size + " on axis " + i + "; sizes are 0 to " + Integer.MAX_VALUE);
            if (elements > MAX_ELEMENTS / Math.max(1, size))
                throw CheckpointException.tensor(file, name, "has more elements than fit in any file");
            elements *= Math.max(1, size);
            dims[i] = (int) size;
        }
        return Shape.of(dims);
    }
}
