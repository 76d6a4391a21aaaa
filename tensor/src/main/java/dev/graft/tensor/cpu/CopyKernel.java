package dev.graft.tensor.cpu;

import dev.graft.tensor.backend.View;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;

/// Elements of any type from one layout to another: [dev.graft.tensor.op.Copy], and the moves inside other kernels.
final class CopyKernel {
    /// Bytes that pay for waking a thread, and the most that are moved at a time.
    private static final long GRAIN = 128 << 10;

    private CopyKernel() {
    }

    /// Both of one shape and type.
    static void run(View in, View out) {
        Nest nest = Nest.of(List.of(in, out));
        if (nest.rows() == 0) return;
        int size = out.dtype().bytes();
        long most = GRAIN / size;
        long perRow = Math.ceilDiv(nest.inner(), most);
        MemorySegment from = in.segment();
        MemorySegment to = out.segment();
        boolean plain = nest.step(0) == size && nest.step(1) == size;
        Parallel.range(nest.rows() * perRow, Math.ceilDiv(most, Math.min(most, nest.inner())), (first, last) -> {
            long[] at = new long[2];
            for (long b = first; b < last; b++) {
                nest.locate(b / perRow, at);
                long start = b % perRow * most;
                int n = (int) Math.min(most, nest.inner() - start);
                long fo = at[0] + start * nest.step(0);
                long too = at[1] + start * nest.step(1);
                if (plain) MemorySegment.copy(from, fo, to, too, (long) n * size);
                else strided(size, from, fo, nest.step(0), to, too, nest.step(1), n);
            }
        });
    }

    private static void strided(int size, MemorySegment from, long fo, long fromStep, MemorySegment to, long too, long toStep, int n) {
        switch (size) {
            case 1 -> bytes(from, fo, fromStep, to, too, toStep, n);
            case 2 -> shorts(from, fo, fromStep, to, too, toStep, n);
            case 4 -> ints(from, fo, fromStep, to, too, toStep, n);
            default -> longs(from, fo, fromStep, to, too, toStep, n);
        }
    }

    private static void bytes(MemorySegment from, long fo, long fromStep, MemorySegment to, long too, long toStep, int n) {
        for (int i = 0; i < n; i++) to.set(ValueLayout.JAVA_BYTE, too + i * toStep, from.get(ValueLayout.JAVA_BYTE, fo + i * fromStep));
    }

    private static void shorts(MemorySegment from, long fo, long fromStep, MemorySegment to, long too, long toStep, int n) {
        for (int i = 0; i < n; i++) {
            to.set(ValueLayout.JAVA_SHORT_UNALIGNED, too + i * toStep, from.get(ValueLayout.JAVA_SHORT_UNALIGNED, fo + i * fromStep));
        }
    }

    private static void ints(MemorySegment from, long fo, long fromStep, MemorySegment to, long too, long toStep, int n) {
        for (int i = 0; i < n; i++) {
            to.set(ValueLayout.JAVA_INT_UNALIGNED, too + i * toStep, from.get(ValueLayout.JAVA_INT_UNALIGNED, fo + i * fromStep));
        }
    }

    private static void longs(MemorySegment from, long fo, long fromStep, MemorySegment to, long too, long toStep, int n) {
        for (int i = 0; i < n; i++) {
            to.set(ValueLayout.JAVA_LONG_UNALIGNED, too + i * toStep, from.get(ValueLayout.JAVA_LONG_UNALIGNED, fo + i * fromStep));
        }
    }
}
