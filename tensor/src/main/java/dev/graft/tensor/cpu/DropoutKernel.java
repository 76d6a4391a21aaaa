package dev.graft.tensor.cpu;

import dev.graft.tensor.backend.View;
import dev.graft.tensor.op.Dropout;
import dev.graft.tensor.op.Random;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;

/// [Dropout] in one pass: element `i`'s random number is made where it is used.
final class DropoutKernel {
    private static final long GRAIN = 8 << 10;
    private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT_UNALIGNED;

    private DropoutKernel() {
    }

    static void run(Dropout op, List<View> in, List<View> out) {
        View x = in.getFirst();
        View y = out.getFirst();
        float scale = (float) (1 / (1 - op.p()));
        Parallel.range(x.size(), GRAIN, (from, to) -> {
            for (long i = from; i < to; i += GRAIN) {
                body(x.segment(), x.byteOffset(), y.segment(), y.byteOffset(), op.seed(), (float) op.p(), scale, i,
                        Math.min(to, i + GRAIN));
            }
        });
    }

    private static void body(MemorySegment x, long xo, MemorySegment y, long yo, long seed, float p, float scale, long from, long to) {
        for (long i = from; i < to; i++) {
            float kept = (float) Random.uniform(seed, i) >= p ? scale : 0;
            y.set(FLOAT, yo + i * 4, x.get(FLOAT, xo + i * 4) * kept);
        }
    }
}
