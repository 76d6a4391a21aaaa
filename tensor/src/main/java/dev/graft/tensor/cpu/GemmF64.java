package dev.graft.tensor.cpu;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/// The matrix product in f64. It serves to check the f32 one and to train small things exactly, so it is kept short: any strides, packing
/// by single elements, one tile.
///
/// ```
/// C = α·A·B + bias (+ C)
/// ```
/// A block of A, 64 rows by 512 steps, is packed as tiles `[k, 4]`, a panel of B as `[k, lanes]`. Threads take panels.
final class GemmF64 {
    private static final ValueLayout.OfDouble DOUBLE = ValueLayout.JAVA_DOUBLE_UNALIGNED;
    private static final Kernels KERNELS = Gemm.KERNELS;
    private static final int MC = 64;
    private static final int KC = 512;
    private static final int MR = Kernels.TILE_ROWS_F64;
    private static final int NR = KERNELS.lanes();
    private static final long GRAIN = 500_000;

    private static final long A_BYTES = MC * KC * 8L;
    private static final long B_BYTES = NR * KC * 8L;
    private static final long TILE_BYTES = MR * NR * 8L;

    static {
        if (VectorWidth.isVector()) {
            MemorySegment m = new Scratch(KERNELS).x(A_BYTES);
            WarmUp.untilCompiled(() -> KERNELS.tileF64(m, 0, m, 0, m, A_BYTES / 2, 4));
        }
    }

    private GemmF64() {}

    static void multiply(Matrix a, Matrix b, Matrix c, Epilogue epilogue) {
        long work = Math.max(1, (long) c.rows() * a.cols() * NR);
        Parallel.range(Math.ceilDiv(c.cols(), NR), Math.ceilDiv(GRAIN, work), (from, to) -> {
            try (Scratch scratch = Scratch.borrow()) {
                MemorySegment own = scratch.x(A_BYTES + B_BYTES + TILE_BYTES);
                for (int m0 = 0; m0 < c.rows(); m0 += MC) {
                    int k0 = 0;
                    do { // at least once: the empty sum is written too
                        int mc = Math.min(MC, c.rows() - m0), kc = Math.min(KC, a.cols() - k0);
                        packA(a, m0, mc, k0, kc, own);
                        for (int panel = (int) from; panel < to; panel++) {
                            int n0 = panel * NR, nc = Math.min(NR, c.cols() - n0);
                            packB(b, k0, kc, n0, nc, own);
                            tiles(own, c, m0, mc, n0, nc, kc, k0 == 0 ? epilogue : epilogue.afterFirst());
                        }
                        k0 += KC;
                    } while (k0 < a.cols());
                }
            }
        });
    }

    private static void tiles(MemorySegment own, Matrix c, int m0, int mc, int n0, int nc, int kc, Epilogue epilogue) {
        for (int i = 0; i < mc; i += MR) {
            KERNELS.tileF64(own, i * KC * 8L, own, A_BYTES, own, A_BYTES + B_BYTES, kc);
            for (int r = 0; r < Math.min(MR, mc - i); r++) {
                for (int j = 0; j < nc; j++) {
                    double sum = own.get(DOUBLE, A_BYTES + B_BYTES + (r * NR + j) * 8L);
                    double v = sum * epilogue.alpha() + epilogue.biasAt(m0 + i + r, n0 + j);
                    long at = c.address(m0 + i + r, n0 + j);
                    c.segment().set(DOUBLE, at, epilogue.accumulate() ? v + c.segment().get(DOUBLE, at) : v);
                }
            }
        }
    }

    /// Tile after tile, each `[k, 4]`; rows past the end keep what was there, their sums are not used.
    private static void packA(Matrix a, int m0, int mc, int k0, int kc, MemorySegment to) {
        for (int i = 0; i < mc; i++) {
            long at = ((long) (i / MR) * MR * KC + i % MR) * 8;
            for (int k = 0; k < kc; k++) {
                to.set(DOUBLE, at + (long) k * MR * 8, a.segment().get(DOUBLE, a.address(m0 + i, k0 + k)));
            }
        }
    }

    private static void packB(Matrix b, int k0, int kc, int n0, int nc, MemorySegment to) {
        for (int k = 0; k < kc; k++) {
            for (int j = 0; j < nc; j++) {
                to.set(DOUBLE, A_BYTES + ((long) k * NR + j) * 8, b.segment().get(DOUBLE, b.address(k0 + k, n0 + j)));
            }
        }
    }
}
