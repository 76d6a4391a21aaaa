package dev.graft.tensor.cpu;

import dev.graft.tensor.DType;
import dev.graft.tensor.Shape;
import dev.graft.tensor.Spec;
import dev.graft.tensor.backend.View;
import dev.graft.tensor.op.Binary;
import dev.graft.tensor.op.Reduce;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;

/// [Reduce] of F32.
///
/// ```
/// x: [outer, n, inner]      y: [outer, inner]
/// ```
/// A long axis is cut into stretches of a fixed length, each folded by itself, and the results folded in order: the cut depends on the shape alone, so
/// the sum does not depend on the number of threads, and is the more exact for it.
final class ReduceKernel {
    private static final int STRETCH = 16 << 10;
    private static final int ROWS = 256;
    private static final int COLUMNS = 1024;
    private static final long GRAIN = 32 << 10;
    private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT_UNALIGNED;

    private ReduceKernel() {
    }

    static void run(Reduce op, View in, View out) {
        try (Temporary contiguous = Temporary.contiguous(in)) {
            View x = contiguous.view();
            long outer = x.shape().range(0, op.axis()).size();
            long inner = x.shape().range(op.axis() + 1, x.rank()).size();
            if (inner != 1) columns(op, x, outer, inner, out);
            else if (op.law() == Reduce.Law.ARGMAX) argmax(x, outer, out);
            else rows(op.law(), x, outer, out);
        }
    }

    private static void rows(Reduce.Law law, View x, long outer, View out) {
        int n = x.size() == 0 ? 0 : Math.toIntExact(x.size() / outer);
        int stretches = Math.max(1, Math.ceilDiv(n, STRETCH));
        MemorySegment from = x.segment();
        MemorySegment to = out.segment();
        if (stretches == 1) {
            Parallel.range(outer, Math.ceilDiv(GRAIN, Math.max(1, n)), (first, last) -> {
                for (long r = first; r < last; r++) {
                    to.set(FLOAT, out.byteOffset() + r * 4, (float) fold(law, from, x.byteOffset() + r * n * 4, n));
                }
            });
            return;
        }
        double[] parts = new double[Math.toIntExact(outer * stretches)];
        Parallel.range(parts.length, 2, (first, last) -> {
            for (int i = (int) first; i < last; i++) {
                int start = i % stretches * STRETCH;
                parts[i] = fold(law, from, x.byteOffset() + (i / stretches * (long) n + start) * 4, Math.min(STRETCH, n - start));
            }
        });
        for (int r = 0; r < outer; r++) {
            double y = parts[r * stretches];
            for (int i = 1; i < stretches; i++) {
                double part = parts[r * stretches + i];
                y = law == Reduce.Law.SUM ? y + part : Math.max(y, part);
            }
            to.set(FLOAT, out.byteOffset() + r * 4L, (float) y);
        }
    }

    private static double fold(Reduce.Law law, MemorySegment x, long xo, int n) {
        return law == Reduce.Law.SUM ? Rows.sum(x, xo, n) : Rows.max(x, xo, n);
    }

    private static void argmax(View x, long outer, View out) {
        int n = Math.toIntExact(x.size() / Math.max(1, outer));
        Parallel.range(outer, Math.ceilDiv(GRAIN, n), (first, last) -> {
            for (long r = first; r < last; r++) {
                long row = x.byteOffset() + r * n * 4;
                int best = Rows.indexOf(Rows.max(x.segment(), row, n), x.segment(), row, n);
                out.segment().set(ValueLayout.JAVA_INT_UNALIGNED, out.byteOffset() + r * 4, best);
            }
        });
    }

    private static void columns(Reduce op, View x, long outer, long inner, View out) {
        if (op.law() == Reduce.Law.ARGMAX || inner == 0) {
            Sliced.run(op, List.of(x), out);
            return;
        }
        VectorLoop.Binary law = Functions.value(op.law() == Reduce.Law.SUM ? Binary.ADD : Binary.MAX);
        int n = x.dim(op.axis());
        if (n <= ROWS) {
            columns(law, x.segment(), x.byteOffset(), n, n, outer, inner, out.segment(), out.byteOffset());
            return;
        }
        int stretches = Math.ceilDiv(n, ROWS);
        try (Temporary parts = Temporary.of(new Spec(Shape.of(Math.toIntExact(outer * stretches * inner)), DType.F32))) {
            View p = parts.view();
            columns(law, x.segment(), x.byteOffset(), n, ROWS, outer, inner, p.segment(), p.byteOffset());
            columns(law, p.segment(), p.byteOffset(), stretches, stretches, outer, inner, out.segment(), out.byteOffset());
        }
    }

    /// `[outer, n, inner]` to `[outer, ⌈n/most⌉, inner]`.
    private static void columns(VectorLoop.Binary law, MemorySegment x, long xo, int n, int most, long outer, long inner, MemorySegment y,
            long yo) {
        int stretches = Math.max(1, Math.ceilDiv(n, most));
        long stripes = Math.ceilDiv(inner, COLUMNS);
        long work = Math.max(1, Math.min(n, most) * Math.min(inner, COLUMNS));
        Parallel.range(outer * stretches * stripes, Math.ceilDiv(GRAIN, work), (first, last) -> {
            for (long task = first; task < last; task++) {
                long column = task % stripes * COLUMNS;
                long stretch = task / stripes;
                int from = (int) (stretch % stretches) * most;
                long start = xo + ((stretch / stretches * n + from) * inner + column) * 4;
                stripe(law, x, start, inner * 4, Math.min(most, n - from), y, yo + (stretch * inner + column) * 4,
                        (int) Math.min(COLUMNS, inner - column));
            }
        });
    }

    /// Folds rows of n numbers, in order, into one.
    private static void stripe(VectorLoop.Binary law, MemorySegment x, long xo, long row, int rows, MemorySegment y, long yo, int n) {
        if (rows <= 0) {
            y.asSlice(yo, n * 4L).fill((byte) 0);
            return;
        }
        MemorySegment.copy(x, xo, y, yo, n * 4L);
        int whole = n - n % Lanes.LENGTH;
        boolean max = law == Functions.value(Binary.MAX);
        for (int r = 1; r < rows; r++) {
            long at = xo + r * row;
            if (whole > 0) law.run(y, yo, x, at, y, yo, whole);
            for (int i = whole; i < n; i++) {
                float a = y.get(FLOAT, yo + i * 4L);
                float b = x.get(FLOAT, at + i * 4L);
                y.set(FLOAT, yo + i * 4L, max ? Math.max(a, b) : a + b);
            }
        }
    }
}
