package dev.graft.tensor.cpu;

import dev.graft.tensor.DType;
import dev.graft.tensor.op.Nf4;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;

/// Products with few rows: decoding a token, and the narrow side of a low-rank pair.
///
/// ```
/// y[m, n] = α·Σₖ x[m, k]·w[n, k] + bias[n] (+ y)      x: [M, K], M ≤ 8; w: [N, K], rows contiguous
/// ```
/// Bound by reading w, which is read once, in place and in its own format: f32, bf16, f16, int8 blocks, NF4. Threads take rows of w.
final class Gemv {
    private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT_UNALIGNED;
    private static final Kernels KERNELS = Gemm.KERNELS;
    private static final int SUMS = 16;
    private static final int STREAMS = 4;
    private static final int MOST_ROWS = 8;
    private static final int LEAST_COLS = 2 * Kernels.DOT_STEP;

    /// Bytes of weights that pay for waking a thread.
    private static final long GRAIN = 128 << 10;

    private static final Set<String> WARM = ConcurrentHashMap.newKeySet();

    private Gemv() {}

    /// Whether `a·b` is of this kind: a has few rows, bᵀ is a stack of contiguous rows.
    static boolean suits(Matrix a, Matrix b) {
        Matrix w = b.transposed();
        return a.rows() <= MOST_ROWS && a.cols() >= LEAST_COLS && w.hasPlainRows() && w.hasWholeBlocks();
    }

    static void multiply(Matrix x, Matrix w, Matrix y, Epilogue epilogue) {
        warmUp(w);
        int k = x.cols();
        try (Scratch scratch = Scratch.borrow()) {
            long row = Math.ceilDiv(k, 16) * 64L;
            MemorySegment packed = scratch.x(row * Math.ceilDiv(x.rows(), 4) * 4);
            Pack.copy(x, 0, x.rows(), 0, k, packed, 0, row, scratch);
            if (w.absmax() != null) deal(packed, row, x.rows(), k);
            Rows rows = new Rows(packed, row, w, y, epilogue);
            long bytes = SUMS * w.bytes(k);
            Parallel.range(Math.ceilDiv(w.rows(), SUMS), Math.ceilDiv(GRAIN, bytes), (from, to) -> {
                try (Scratch own = Scratch.borrow()) {
                    for (int i = (int) from; i < to; i++) {
                        rows.run(i * SUMS, Math.min(w.rows(), (i + 1) * SUMS), own);
                    }
                }
            });
        }
    }

    /// Of each block of 64 numbers first those of even index, then those of odd: the two values of a byte are far apart once they are looked up.
    private static void deal(MemorySegment x, long xRow, int rows, int k) {
        float[] block = new float[Nf4.BLOCK];
        int half = Nf4.BLOCK / 2;
        for (int i = 0; i < rows; i++) {
            for (int from = 0; from < k; from += Nf4.BLOCK) {
                long at = i * xRow + from * 4L;
                for (int j = 0; j < Nf4.BLOCK; j++) block[j % 2 * half + j / 2] = x.get(FLOAT, at + j * 4L);
                for (int j = 0; j < Nf4.BLOCK; j++) x.set(FLOAT, at + j * 4L, block[j]);
            }
        }
    }

    /// x: packed rows, `xRow` bytes each.
    ///
    /// Of a block of 16 rows of w the i-th, the i+4-th, the i+8-th and the i+12-th are read together, for i = 0, 1, 2, 3. So each of the four
    /// streams runs on through memory; with four neighbours at a time two streams would share a page where rows are short, which the
    /// hardware's prefetcher does not follow.
    private record Rows(MemorySegment x, long xRow, Matrix w, Matrix y, Epilogue epilogue) {
        /// The rows `[from, to)` of w, 16 at most.
        void run(int from, int to, Scratch own) {
            if (y.rows() == 1 || w.type() != DType.F32) {
                for (int m = 0; m < y.rows(); m++) { // w comes from memory once, then from cache
                    one(m, from, to, own);
                }
            } else {
                for (int i = 0; i < Math.min(STREAMS, to - from); i++) {
                    several(from + i, to, own);
                }
            }
        }

        private void one(int m, int from, int to, Scratch own) {
            int k = w.cols(), whole = k - k % Kernels.DOT_STEP;
            long row = k / Nf4.BLOCK * 4L;
            if (w.absmax() != null && m == 0) // for all rows of x
                w.absmax().copy(w.index(from, 0) / Nf4.BLOCK, (to - from) * (k / Nf4.BLOCK), own.x(SUMS * row), 0);
            long xm = m * xRow;
            for (int i = 0; i < STREAMS; i++) {
                int last = to - 1, r0 = Math.min(from + i, last), r1 = Math.min(r0 + 4, last), r2 = Math.min(r0 + 8, last),
                        r3 = Math.min(r0 + 12, last); // beyond the end the last row again
                long o0 = w.address(r0, 0), o1 = w.address(r1, 0), o2 = w.address(r2, 0), o3 = w.address(r3, 0);
                long so = (long) i * STREAMS * KERNELS.lanes() * 4;
                if (w.absmax() != null) {
                    long half = 2 * KERNELS.lanes() * 4L;
                    MemorySegment s = own.x(SUMS * row);
                    KERNELS.dotsOfNf4(w.segment(), o0, o1, s, (r0 - from) * row, (r1 - from) * row, x, xm, whole, own.sums(), so);
                    KERNELS.dotsOfNf4(w.segment(), o2, o3, s, (r2 - from) * row, (r3 - from) * row, x, xm, whole, own.sums(), so + half);
                } else if (w.type() == DType.I8) {
                    Matrix s = w.scales();
                    long half = 2 * KERNELS.lanes() * 4L;
                    KERNELS.dotsOfBlocks(w.segment(), o0, o1, s.segment(), s.address(r0, 0), s.address(r1, 0), x, xm, whole, own.sums(),
                            so);
                    KERNELS.dotsOfBlocks(w.segment(), o2, o3, s.segment(), s.address(r2, 0), s.address(r3, 0), x, xm, whole, own.sums(),
                            so + half);
                } else {
                    KERNELS.dots(w.type(), w.segment(), o0, o1, o2, o3, x, xm, whole, own.sums(), so);
                }
            }
            KERNELS.fold(own.sums(), own.folded(), own.workspace());
            for (int n = from; n < to; n++) {
                int i = (n - from) % STREAMS, stream = (n - from) / STREAMS;
                store(m, n, own.folded().get(FLOAT, (i * STREAMS + stream) * 4L) + rest(m, n, whole));
            }
        }

        /// The rows n, n + 4, n + 8 and n + 12 of w, as far as they come before `to`, by four rows of x at a time.
        private void several(int n, int to, Scratch own) {
            int k = w.cols(), whole = k - k % Kernels.DOT_STEP, last = to - 1;
            long o1 = w.address(Math.min(n + 4, last), 0), o2 = w.address(Math.min(n + 8, last), 0),
                    o3 = w.address(Math.min(n + 12, last), 0);
            for (int m = 0; m < y.rows(); m += 4) {
                KERNELS.dots4x4(w.segment(), w.address(n, 0), o1, o2, o3, x, m * xRow, xRow, whole, own.sums(), 0);
                KERNELS.fold(own.sums(), own.folded(), own.workspace());
                for (int stream = 0; n + stream * STREAMS < to; stream++) {
                    for (int j = 0; j < Math.min(4, y.rows() - m); j++) {
                        int row = n + stream * STREAMS;
                        store(m + j, row, own.folded().get(FLOAT, (4 * stream + j) * 4L) + rest(m + j, row, whole));
                    }
                }
            }
        }

        /// What is left of a dot product after whole steps.
        private float rest(int m, int n, int whole) {
            float sum = 0;
            for (int k = whole; k < w.cols(); k++) {
                sum += w.floatAt(n, k) * x.get(FLOAT, m * xRow + k * 4L);
            }
            return sum;
        }

        private void store(int m, int n, float sum) {
            float v = sum * (float) epilogue.alpha() + (float) epilogue.biasAt(m, n);
            long at = y.address(m, n);
            y.segment().set(FLOAT, at, epilogue.accumulate() ? v + y.segment().get(FLOAT, at) : v);
        }
    }

    private static void warmUp(Matrix w) {
        DType type = w.type();
        String format = w.absmax() == null ? type.toString() : "nf4";
        if (WARM.contains(format) || !VectorWidth.isVector()) {
            return;
        }
        synchronized (WARM) {
            if (WARM.contains(format)) {
                return;
            }
            Scratch s = new Scratch(KERNELS);
            MemorySegment m = s.stage();
            int n = 4 * Kernels.DOT_STEP;
            if (WARM.isEmpty()) {
                WarmUp.untilCompiled(() -> KERNELS.dots4x4(m, 0, 64, 128, 192, m, 0, 64, n, s.sums(), 0));
                WarmUp.untilCompiled(() -> KERNELS.fold(s.sums(), s.folded(), s.workspace()));
            }
            if (w.absmax() != null) {
                WarmUp.untilCompiled(() -> KERNELS.dotsOfNf4(m, 0, 64, m, 0, 64, m, 0, n, s.sums(), 0));
            } else if (type == DType.I8) {
                WarmUp.untilCompiled(() -> KERNELS.dotsOfBlocks(m, 0, 64, m, 0, 64, m, 0, n, s.sums(), 0));
            } else {
                WarmUp.untilCompiled(() -> KERNELS.dots(type, m, 0, 64, 128, 192, m, 0, n, s.sums(), 0));
            }
            WARM.add(format);
        }
    }
}
