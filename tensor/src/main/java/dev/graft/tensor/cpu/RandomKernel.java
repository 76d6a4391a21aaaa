package dev.graft.tensor.cpu;

import dev.graft.tensor.DType;
import dev.graft.tensor.backend.View;
import dev.graft.tensor.op.Random;
import dev.graft.tensor.reference.Loops;
import java.lang.foreign.ValueLayout;
import java.util.List;

/// [Random] by all threads: normal numbers a vector at a time, the rest element by element as the op defines it.
final class RandomKernel {
    private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT_UNALIGNED;
    private static final long GRAIN = 4 << 10;

    /// Fewer elements are drawn one by one, before the JIT would have compiled anything else.
    private static final long MANY = 256 << 10;

    /// Elements of a call: a loop over all would be entered once, and run uncompiled.
    private static final int STRETCH = 512;

    private RandomKernel() {
    }

    static void run(Random op, View out) {
        if (out.dtype() != DType.F32) {
            Loops.run(op, List.of(), out);
        } else if (op.law() == Random.Law.NORMAL && VectorWidth.isVector() && out.size() >= MANY) {
            Parallel.range(out.size(), GRAIN, (from, to) -> {
                long whole = to - (to - from) % Normals.LENGTH;
                for (long i = from; i < whole; i += STRETCH) {
                    int n = (int) Math.min(STRETCH, whole - i);
                    Normals.fill(op.seed(), op.start() + i, n, out.segment(), out.byteOffset() + i * 4);
                }
                oneByOne(op, whole, to, out);
            });
        } else {
            Parallel.range(out.size(), GRAIN, (from, to) -> oneByOne(op, from, to, out));
        }
    }

    private static void oneByOne(Random op, long from, long to, View out) {
        for (long i = from; i < to; i++) out.segment().set(FLOAT, out.byteOffset() + i * 4, (float) op.value(i));
    }
}
