package dev.graft.tensor.cpu;

import dev.graft.tensor.DType;
import dev.graft.tensor.backend.View;
import dev.graft.tensor.op.Random;
import dev.graft.tensor.reference.Loops;
import java.lang.foreign.ValueLayout;
import java.util.List;

/// [Random], element by element as the op defines it, by all threads.
final class RandomKernel {
    private static final long GRAIN = 4 << 10;

    private RandomKernel() {
    }

    static void run(Random op, View out) {
        if (out.dtype() == DType.F32) {
            Parallel.range(out.size(), GRAIN, (from, to) -> {
                for (long i = from; i < to; i++)
                    out.segment().set(ValueLayout.JAVA_FLOAT_UNALIGNED, out.byteOffset() + i * 4, (float) op.value(i));
            });
        } else {
            Loops.run(op, List.of(), out);
        }
    }
}
