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
        int scale = Float.floatToRawIntBits((float) (1 / (1 - op.p())));
        long least = (long) Math.ceil((float) op.p() * 0x1p24);                 // u ≥ p for u = k · 2⁻²⁴ is k ≥ least
        Parallel.range(x.size(), GRAIN, (from, to) -> {
            for (long i = from; i < to; i += GRAIN) {
                int n = (int) Math.min(GRAIN, to - i);
                body(x.segment(), x.byteOffset() + i * 4, y.segment(), y.byteOffset() + i * 4, op.seed(), i, least, scale, n);
            }
        });
    }

    /// Without a branch, which would be guessed wrongly as often as an element is dropped.
    private static void body(MemorySegment x, long xo, MemorySegment y, long yo, long seed, long first, long least, int scale, int n) {
        for (int i = 0; i < n; i++) {
            long u = Random.bits(seed, first + i) >>> 40;
            int dropped = (int) (u - least >> 63);                              // all ones, or 0
            y.set(FLOAT, yo + i * 4L, x.get(FLOAT, xo + i * 4L) * Float.intBitsToFloat(scale & ~dropped));
        }
    }
}
