package dev.graft.models.io;

import dev.graft.tensor.DType;
import dev.graft.tensor.Shape;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Locale;

/// One tensor of a [Checkpoint]: what the file says of it, and its bytes, which stay in the file until they are touched.
///
/// Valid until the checkpoint is closed; then every access throws [IllegalStateException].
public final class Entry {
    private final String name;
    private final StoredType type;
    private final Shape shape;
    private final Path file;
    private final MemorySegment storage; // from the first element on
    private final long[] strides;        // in elements, of `storage`
    private final Arena arena;
    private MemorySegment bytes;

    private Entry(String name, StoredType type, Shape shape, Path file, MemorySegment storage, long[] strides, Arena arena) {
        this.name = name;
        this.type = type;
        this.shape = shape;
        this.file = file;
        this.storage = storage;
        this.strides = strides;
        this.arena = arena;
    }

    static Entry contiguous(String name, StoredType type, Shape shape, Path file, MemorySegment bytes) {
        var entry = new Entry(name, type, shape, file, bytes, null, null);
        entry.bytes = bytes;
        return entry;
    }

    /// A view whose elements do not follow one another; the caller has checked that all of them lie inside `storage`.
    static Entry strided(String name, StoredType type, Shape shape, Path file, MemorySegment storage, long[] strides, Arena arena) {
        return new Entry(name, type, shape, file, storage, strides, arena);
    }

    public String name() {
        return name;
    }

    public StoredType type() {
        return type;
    }

    public Shape shape() {
        return shape;
    }

    /// The file the bytes are in: one of several for a sharded checkpoint.
    public Path file() {
        return file;
    }

    public long byteSize() {
        return shape.size() * type.bits() / 8;
    }

    /// The elements as stored, little-endian and row-major, read-only and not necessarily aligned. A slice of the mapped file, so tied weights
    /// that share a storage have one address; a strided view is copied the first time.
    public synchronized MemorySegment bytes() {
        if (bytes == null) bytes = gather();
        return bytes;
    }

    /// Lets go of the memory that reading the bytes took, where the system can: they come from the file again when they are touched. For whoever has made
    /// something else of them, so that a file larger than memory can be converted.
    public void forget() {
        if (strides == null) MappedFile.forget(bytes);
    }

    /// Writes the elements to `target` as `dtype`, in the machine's byte order. Floating types convert into each other, rounding once to nearest
    /// even; integers into integers at least as wide.
    public void read(DType dtype, MemorySegment target) {
        DType stored = type.dtype().orElseThrow(() -> problem("is stored as " + type + ", which Graft cannot compute with; it reads "
                + String.join(", ", Arrays.stream(DType.values()).map(DType::name).toList())));
        if (!Conversion.supports(stored, dtype)) {
            throw problem("is stored as " + type + " and cannot be read as " + dtype.name() + "; it can be read as "
                    + String.join(", ",
                            Arrays.stream(DType.values()).filter(d -> Conversion.supports(stored, d)).map(DType::name).toList()));
        }
        long elements = shape.size(), wanted = elements * dtype.bytes();
        if (target.byteSize() != wanted) {
            throw new IllegalArgumentException(this + " takes " + wanted + " bytes as " + dtype + ", the target has " + target.byteSize());
        }
        Conversion.convert(bytes(), stored, target, dtype, elements);
    }

    /// An exception about this tensor, naming it and its file, for a loader that expected something else.
    public CheckpointException problem(String problem) {
        return CheckpointException.tensor(file, name, problem);
    }

    @Override
    public String toString() {
        return name + " " + type.name().toLowerCase(Locale.ROOT) + shape;
    }

    private MemorySegment gather() {
        int width = type.bits() / 8, last = shape.rank() - 1;
        MemorySegment copy = arena.allocate(byteSize(), 64);
        int[] dims = shape.dims(), index = new int[last];
        long rows = shape.size() / dims[last];
        for (long row = 0; row < rows; row++) {
            long from = 0;
            for (int axis = 0; axis < last; axis++) from += index[axis] * strides[axis];
            long to = row * dims[last];
            for (int i = 0; i < dims[last]; i++) {
                MemorySegment.copy(storage, (from + i * strides[last]) * width, copy, (to + i) * width, width);
            }
            for (int axis = last - 1; axis >= 0 && ++index[axis] == dims[axis]; axis--) index[axis] = 0;
        }
        return copy.asReadOnly();
    }
}
