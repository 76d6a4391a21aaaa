package dev.graft.tensor.cpu;

import dev.graft.tensor.DType;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;

/// Products with few rows: decoding a token, and the narrow side of a low-rank pair.
///
/// ```
/// y[m, n] = α·Σₖ x[m, k]·w[n, k] + bias[n] (+ y)      x: [M, K], M ≤ 8; w: [N, K], rows contiguous
/// ```
/// Bound by reading w, which is read once, in place and in its own format: f32, bf16, f16, int8 blocks. Threads take rows of w.
final class Gemv {
    private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT_UNALIGNED;
    private static final Kernels KERNELS = Gemm.KERNELS;
    private static final int SUMS = 16;
    private static final int MOST_ROWS = 8;
    private static final int LEAST_COLS = 2 * Kernels.DOT_STEP;

    /// Bytes of weights that pay for waking a thread.
    private static final long GRAIN = 128 << 10;

    private static final Set<DType> WARM = ConcurrentHashMap.newKeySet();

    private Gemv() {}

    /// Whether `a·b` is of this kind: a has few rows, bᵀ is a stack of contiguous rows.
    static boolean suits(Matrix a, Matrix b) {
        Matrix w = b.transposed();
        return a.rows() <= MOST_ROWS && a.cols() >= LEAST_COLS && w.hasPlainRows() && (w.scales() == null || w.scales().hasPlainRows());
    }

    static void multiply(Matrix x, Matrix w, Matrix y, Epilogue epilogue) {
        warmUp(w.type());
        int k = x.cols();
        try (Scratch scratch = Scratch.borrow()) {
            long row = Math.ceilDiv(k, 16) * 64L;
            MemorySegment packed = scratch.x(row * Math.ceilDiv(x.rows(), 4) * 4);
            Pack.copy(x, 0, x.rows(), 0, k, packed, 0, row, scratch);
            Rows rows = new Rows(packed, row, w, y, epilogue);
            long bytes = (long) SUMS * k * w.type().bytes();
            Parallel.range(Math.ceilDiv(w.rows(), SUMS), Math.ceilDiv(GRAIN, bytes), (from, to) -> {
                try (Scratch own = Scratch.borrow()) {
                    for (int i = (int) from; i < to; i++) {
                        rows.run(i * SUMS, Math.min(w.rows(), (i + 1) * SUMS), own);
                    }
                }
            });
        }
    }

    /// x: packed rows, `xRow` bytes each.
    private record Rows(MemorySegment x, long xRow, Matrix w, Matrix y, Epilogue epilogue) {
        /// The rows `[from, to)` of w, 16 at most.
        void run(int from, int to, Scratch own) {
            if (y.rows() == 1 || w.type() != DType.F32) {
                for (int m = 0; m < y.rows(); m++) { // w comes from memory once, then from cache
                    one(m, from, to, own);
                }
            } else {
                for (int n = from; n < to; n += 4) {
                    several(n, Math.min(4, to - n), own);
                }
            }
        }

        private void one(int m, int from, int to, Scratch own) {
            int k = w.cols(), whole = k - k % Kernels.DOT_STEP;
            long xm = m * xRow;
            for (int n = from; n < to; n += 4) {
                int last = to - 1, r1 = Math.min(n + 1, last), r2 = Math.min(n + 2, last), r3 = Math.min(n + 3, last); // the last row again
                long o0 = w.address(n, 0), o1 = w.address(r1, 0), o2 = w.address(r2, 0), o3 = w.address(r3, 0);
                long so = (n - from) * KERNELS.lanes() * 4L;
                if (w.type() == DType.I8) {
                    Matrix s = w.scales();
                    long half = 2 * KERNELS.lanes() * 4L;
                    KERNELS.dotsOfBlocks(w.segment(), o0, o1, s.segment(), s.address(n, 0), s.address(r1, 0), x, xm, whole, own.sums(), so);
                    KERNELS.dotsOfBlocks(w.segment(), o2, o3, s.segment(), s.address(r2, 0), s.address(r3, 0), x, xm, whole, own.sums(),
                            so + half);
                } else {
                    KERNELS.dots(w.type(), w.segment(), o0, o1, o2, o3, x, xm, whole, own.sums(), so);
                }
            }
            KERNELS.fold(own.sums(), own.folded(), own.workspace());
            for (int n = from; n < to; n++) {
                store(m, n, own.folded().get(FLOAT, (n - from) * 4L) + rest(m, n, whole));
            }
        }

        /// Four rows of w at most, by four rows of x at a time.
        private void several(int n, int count, Scratch own) {
            int k = w.cols(), whole = k - k % Kernels.DOT_STEP, last = n + count - 1;
            long o1 = w.address(Math.min(n + 1, last), 0), o2 = w.address(Math.min(n + 2, last), 0), o3 = w.address(last, 0);
            for (int m = 0; m < y.rows(); m += 4) {
                KERNELS.dots4x4(w.segment(), w.address(n, 0), o1, o2, o3, x, m * xRow, xRow, whole, own.sums(), 0);
                KERNELS.fold(own.sums(), own.folded(), own.workspace());
                for (int i = 0; i < count; i++) {
                    for (int j = 0; j < Math.min(4, y.rows() - m); j++) {
                        store(m + j, n + i, own.folded().get(FLOAT, (4 * i + j) * 4L) + rest(m + j, n + i, whole));
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

    private static void warmUp(DType type) {
        if (WARM.contains(type) || !VectorWidth.isVector()) {
            return;
        }
        synchronized (WARM) {
            if (WARM.contains(type)) {
                return;
            }
            Scratch s = new Scratch(KERNELS);
            MemorySegment m = s.stage();
            int n = 4 * Kernels.DOT_STEP;
            if (WARM.isEmpty()) {
                WarmUp.untilCompiled(() -> KERNELS.dots4x4(m, 0, 64, 128, 192, m, 0, 64, n, s.sums(), 0));
                WarmUp.untilCompiled(() -> KERNELS.fold(s.sums(), s.folded(), s.workspace()));
            }
            if (type == DType.I8) {
                WarmUp.untilCompiled(() -> KERNELS.dotsOfBlocks(m, 0, 64, m, 0, 64, m, 0, n, s.sums(), 0));
            } else {
                WarmUp.untilCompiled(() -> KERNELS.dots(type, m, 0, 64, 128, 192, m, 0, n, s.sums(), 0));
            }
            WARM.add(type);
        }
    }
}
