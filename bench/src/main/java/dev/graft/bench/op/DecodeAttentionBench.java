package dev.graft.bench.op;

import dev.graft.bench.Work;
import dev.graft.tensor.Tensor;
import dev.graft.tensor.op.Attention;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Setup;

/// One more token of each row against all keys and values that are held: memory-bound. Bytes: both once.
public class DecodeAttentionBench extends OpBench {
    /// Rows, keys, query heads, key heads, head size.
    @Param({"1x4096x32x8x128", "64x1024x32x8x64"})
    public String shape;

    private Tensor q;
    private Tensor k;
    private Tensor v;

    private int size(int i) {
        return size(shape, i);
    }

    @Setup
    public void fill() {
        q = input(size(0), 1, size(2), size(4));
        k = input(size(0), size(1), size(3), size(4));
        v = input(size(0), size(1), size(3), size(4));
    }

    @Benchmark
    public double attention() {
        return run(() -> new Attention(0.125, true, false, false).apply(q, k, v));
    }

    @Override
    public Work work() {
        double keys = (double) size(0) * size(1) * size(4);
        return new Work(4 * keys * size(2), 8 * keys * size(3));
    }
}
