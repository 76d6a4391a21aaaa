package dev.graft.models;

import static org.assertj.core.api.Assertions.assertThat;

import dev.graft.models.io.Checkpoint;
import dev.graft.models.io.Entry;
import dev.graft.tensor.DType;
import dev.graft.tensor.Shape;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.Set;

/// The tensors of one [Golden] folder, and the tolerance they are compared with.
public final class GoldenTensors implements AutoCloseable {
    private final Path folder;
    private final Checkpoint io;

    private GoldenTensors(Path folder, String file) {
        this.folder = folder;
        this.io = Checkpoint.open(folder.resolve(file));
    }

    /// `io.safetensors` of a folder in the test resources, such as `models/llama-mha`.
    public static GoldenTensors of(String name) {
        return new GoldenTensors(Golden.path(name), "io.safetensors");
    }

    /// The same in a folder anywhere.
    public static GoldenTensors of(Path folder) {
        return new GoldenTensors(folder, "io.safetensors");
    }

    /// Another file of the same folder.
    public GoldenTensors file(String file) {
        return new GoldenTensors(folder, file);
    }

    public Path folder() {
        return folder;
    }

    public Set<String> names() {
        return io.entries().keySet();
    }

    public Shape shape(String name) {
        return io.require(name).shape();
    }

    public float[] floats(String name) {
        Entry e = io.require(name);
        float[] values = new float[(int) e.shape().size()];
        e.read(DType.F32, MemorySegment.ofArray(values));
        return values;
    }

    /// A matrix of ids.
    public int[][] ints(String name) {
        Entry e = io.require(name);
        long[] values = new long[(int) e.shape().size()];
        e.read(DType.I64, MemorySegment.ofArray(values));
        int columns = e.shape().dim(-1);
        int[][] rows = new int[values.length / columns][columns];
        for (int i = 0; i < values.length; i++) rows[i / columns][i % columns] = Math.toIntExact(values[i]);
        return rows;
    }

    /// Ids and mask under a prefix such as `left.`.
    public Inputs inputs(String prefix) {
        return Inputs.of(ints(prefix + "input_ids"), ints(prefix + "attention_mask"));
    }

    /// Passes when each value is within `1e-4 + 1e-4 · |expected|`.
    public void check(String name, float[] actual) {
        check(name, actual, floats(name), 1e-4);
    }

    /// Passes when each value is within `tolerance · (1 + |expected|)`.
    public static void check(String name, float[] actual, float[] expected, double tolerance) {
        assertThat(actual).as(name).hasSameSizeAs(expected);
        for (int i = 0; i < expected.length; i++) {
            double off = Math.abs(actual[i] - expected[i]);
            if (!(off <= tolerance * (1 + Math.abs(expected[i])))) {
                throw new AssertionError("%s[%d] is %s instead of %s, off by %.3g".formatted(name, i, actual[i], expected[i], off));
            }
        }
    }

    @Override
    public void close() {
        io.close();
    }
}
