package dev.graft.tensor.cpu;

import dev.graft.tensor.Shape;
import dev.graft.tensor.backend.View;
import dev.graft.tensor.op.Fill;
import dev.graft.tensor.reference.Loops;
import java.lang.foreign.MemorySegment;
import java.util.List;

/// [Fill] of any type: some elements one by one, which are then copied over the rest.
final class FillKernel {
    private static final int FIRST = 4 << 10;

    private FillKernel() {
    }

    static void run(Fill op, View out) {
        MemorySegment to = out.segment();
        long begin = out.byteOffset();
        long bytes = out.spec().bytes();
        if (op.value() == 0 && 1 / op.value() > 0) {
            Parallel.range(bytes, 256 << 10, (from, until) -> to.asSlice(begin + from, until - from).fill((byte) 0));
            return;
        }
        int first = (int) Math.min(FIRST, out.size());
        Loops.run(op, List.of(), out.reshape(Shape.of(Math.toIntExact(out.size()))).slice(0, 0, first));
        long step = (long) first * out.dtype().bytes();
        Parallel.range(Math.ceilDiv(bytes, Math.max(1, step)) - 1, Math.ceilDiv(256 << 10, Math.max(1, step)), (from, until) -> {
            for (long i = from + 1; i <= until; i++) MemorySegment.copy(to, begin, to, begin + i * step, Math.min(step, bytes - i * step));
        });
    }
}
