package dev.graft.tensor.cpu;

import dev.graft.tensor.DType;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.function.IntFunction;

/// The matrix product of the CPU backend.
///
/// ```
/// C = α·A·B + bias (+ C)      A: [M, K], B: [K, N], C: [M, N]
/// ```
/// Operands are [Matrix] views: a transposed operand is one with swapped strides, so `x·Wᵀ` is `multiply(x, w.transposed(), y)` and
/// nothing is transposed in memory. C is f32 and A and B any mix of f32, bf16, f16 and int8 blocks, or all three are f64. C must not
/// overlap A or B.
///
/// The method is Goto's ("Anatomy of high-performance matrix multiplication", 2008), turned round to suit a long K: A is packed once, by
/// all threads, into rows of [Kernels#KC] floats; each thread then packs some panels of B, one vector pair wide, and runs the register tile
/// over blocks of A and these panels, both of which stay in its L2 cache. Widening of weights happens in the packing. Products with few rows or few
/// columns go to [Gemv].
///
/// Each element of C is summed in an order that depends on the shapes alone: threads only decide who computes it.
public final class Gemm {
    static final Kernels KERNELS = VectorWidth.isVector() ? new VectorKernels() : new ScalarKernels();

    private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT_UNALIGNED;
    private static final int KC = Kernels.KC;
    private static final int MR = KERNELS.tileRows();
    private static final int NR = KERNELS.tileCols();

    /// Rows of A packed at a time: 8.5 MB with a full KC. A multiple of every tile's rows.
    private static final int MC = 1032;

    /// Multiply-adds that pay for waking a thread: some 20 µs of a core.
    private static final long GRAIN = 1_000_000;

    private Gemm() {}

    /// One product of a batch.
    public record Product(Matrix a, Matrix b, Matrix c) {}

    public static void multiply(Matrix a, Matrix b, Matrix c) {
        multiply(a, b, c, Epilogue.PLAIN);
    }

    public static void multiply(Matrix a, Matrix b, Matrix c, Epilogue then) {
        check(a, b, c);
        Epilogue epilogue = then.over(c);
        if (c.rows() == 0 || c.cols() == 0) {
            return;
        }
        if (c.type() == DType.F64) {
            GemmF64.multiply(a, b, c, epilogue);
        } else if (Gemv.suits(a, b)) {
            Gemv.multiply(a, b.transposed(), c, epilogue);
        } else if (Gemv.suits(b.transposed(), a.transposed())) {
            Gemv.multiply(b.transposed(), a, c.transposed(), epilogue.transposed());
        } else if (isBetterTransposed(c)) {
            blocked(b.transposed(), a.transposed(), c.transposed(), epilogue.transposed());
        } else {
            blocked(a, b, c, epilogue);
        }
    }

    /// A batch of independent products: small ones side by side, large ones one after another with all threads in each.
    public static void batch(int count, IntFunction<Product> products, Epilogue epilogue) {
        if (count == 0) {
            return;
        }
        Product first = products.apply(0);
        long work = (long) first.c.rows() * first.c.cols() * Math.max(1, first.a.cols());
        if (count < Parallel.threads() && work >= 2 * GRAIN) {
            for (int i = 0; i < count; i++) {
                Product p = products.apply(i);
                multiply(p.a, p.b, p.c, epilogue);
            }
        } else {
            Parallel.range(count, Math.ceilDiv(GRAIN, Math.max(1, work)), (from, to) -> {
                for (int i = (int) from; i < to; i++) {
                    Product p = products.apply(i);
                    multiply(p.a, p.b, p.c, epilogue);
                }
            });
        }
    }

    private static void check(Matrix a, Matrix b, Matrix c) {
        if (a.cols() != b.rows() || c.rows() != a.rows() || c.cols() != b.cols()) {
            throw new IllegalArgumentException("a product needs [M, K]·[K, N] = [M, N], got " + a + " · " + b + " = " + c);
        }
        boolean f64 = a.type() == DType.F64 || b.type() == DType.F64 || c.type() == DType.F64;
        if (f64 ? a.type() != b.type() || b.type() != c.type() : c.type() != DType.F32) {
            throw new IllegalArgumentException("a product is f32, or f64 in all operands; got " + a + " · " + b + " = " + c);
        }
        if (c.rows() > 1 && c.cols() > 0 && c.rowStride() == 0 || c.cols() > 1 && c.rows() > 0 && c.colStride() == 0) {
            throw new IllegalArgumentException("the result of a product must not be broadcast, got " + c);
        }
    }

    /// Cᵀ = Bᵀ·Aᵀ: few columns would leave most of a tile empty, few rows do not; and a tile is written out by rows.
    private static boolean isBetterTransposed(Matrix c) {
        return c.cols() <= NR / 2 && c.rows() > c.cols() || c.colStride() != 1 && c.rowStride() == 1 && c.rows() >= NR;
    }

    private static void blocked(Matrix a, Matrix b, Matrix c, Epilogue epilogue) {
        int m = c.rows(), k = a.cols();
        try (Scratch scratch = Scratch.borrow()) {
            for (int m0 = 0; m0 < m; m0 += MC) {
                int mc = Math.min(MC, m - m0);
                int k0 = 0;
                do { // at least once: the empty sum is written too
                    int kc = Math.min(KC, k - k0);
                    MemorySegment packed = scratch.a(Math.ceilDiv(mc, MR) * MR);
                    packA(a, m0, mc, k0, kc, packed);
                    new Block(packed, b, c, k0 == 0 ? epilogue : epilogue.afterFirst(), m0, mc, k0, kc).run();
                    k0 += KC;
                } while (k0 < k);
            }
        }
    }

    private static void packA(Matrix a, int m0, int mc, int k0, int kc, MemorySegment packed) {
        Parallel.range(Math.ceilDiv(mc, MR), Math.ceilDiv(GRAIN / 16, (long) Math.max(1, kc) * MR), (from, to) -> {
            int begin = (int) from * MR, end = Math.min(mc, (int) to * MR);
            try (Scratch own = Scratch.borrow()) {
                Pack.copy(a, m0 + begin, end - begin, k0, kc, packed, (long) begin * Kernels.A_ROW, Kernels.A_ROW, own);
            }
        });
    }

    /// The product of mc packed rows of A with all of B, over kc steps of the contraction.
    private record Block(MemorySegment packed, Matrix b, Matrix c, Epilogue epilogue, int m0, int mc, int k0, int kc) {
        /// Work is cut into panels, and where these are too few for the threads, panels into groups of rows; a group packs the panel
        /// anew, which costs as much as some 15 rows. As many panels as stay in cache are gone over with as many rows of A as stay there:
        /// with one panel and all rows, A comes from the third-level cache for each panel, which is a tenth slower.
        void run() {
            int panels = Math.ceilDiv(c.cols(), NR), threads = Parallel.threads();
            int groups = panels % threads == 0 || panels >= 8 * threads ? 1 : Math.clamp(4 * threads / panels, 1, Math.max(1, mc / 96));
            int together = groups == 1 ? Scratch.PACKED / (NR * Math.max(1, kc)) : 1;
            int block = Math.max(1, Scratch.PACKED / (MR * Math.max(1, kc))) * MR;
            int tiles = Math.ceilDiv(mc, MR);
            long work = Math.max(1, (long) mc * NR * kc / groups);
            Parallel.range((long) panels * groups, Math.ceilDiv(GRAIN, work), (from, to) -> {
                try (Scratch own = Scratch.borrow()) {
                    int packed = -1;
                    for (long task = from; task < to; task += together) {
                        int first = (int) (task / groups), group = (int) (task % groups);
                        int last = Math.min(first + together, (int) Math.ceilDiv(to, groups));
                        if (first != packed) pack(first, last, own);
                        packed = first;
                        int end = Math.min(mc, tiles * (group + 1) / groups * MR);
                        for (int i = tiles * group / groups * MR; i < end; i += block) {
                            for (int panel = first; panel < last; panel++)
                                rows(panel, panelAt(panel - first), i, Math.min(end, i + block), own);
                        }
                    }
                }
            });
        }

        /// The last panel begins early enough to be full if it can; its first columns are then computed twice and written once.
        private int begin(int panel) {
            return Math.max(0, Math.min(panel * NR, c.cols() - NR));
        }

        /// Some panels at once, a few rows of all of them at a time: where B lies in rows, a panel's part of one is but two cache lines in a
        /// page of its own.
        private void pack(int from, int to, Scratch own) {
            int step = to - from == 1 || !b.hasPlainRows() ? Math.max(1, kc) : 128;
            for (int k = 0; k < kc; k += step) {
                for (int panel = from; panel < to; panel++) {
                    int n = begin(panel);
                    Pack.copy(b, k0 + k, Math.min(step, kc - k), n, Math.min(NR, c.cols() - n), own.panels(),
                            panelAt(panel - from) + k * NR * 4L,
                            NR * 4L, own);
                }
            }
        }

        /// Where the i-th of the packed panels begins.
        private long panelAt(int i) {
            return (long) i * kc * NR * 4;
        }

        private void rows(int panel, long at, int from, int to, Scratch own) {
            int n = begin(panel);
            for (int i = from; i < to; i += MR) {
                int rows = Math.min(MR, to - i);
                KERNELS.tile(rows, packed, (long) i * Kernels.A_ROW, own.panels(), at, own.tile(), kc);
                if (n == panel * NR && n + NR <= c.cols() && c.colStride() == 1 && hasPlainBias()) {
                    store(m0 + i, rows, n, own.tile());
                } else {
                    storePart(m0 + i, rows, n, panel * NR - n, own.tile());
                }
            }
        }

        private boolean hasPlainBias() {
            Matrix bias = epilogue.bias();
            return bias == null || bias.colStride() == 1 && bias.rowStride() == 0;
        }

        private void store(int i, int rows, int n, float[] tile) {
            Matrix bias = epilogue.bias();
            KERNELS.store(rows, tile, c.segment(), c.address(i, n), c.rowBytes(), (float) epilogue.alpha(), epilogue.accumulate(),
                    bias == null ? null : bias.segment(), bias == null ? 0 : bias.address(0, n));
        }

        /// The columns of a tile from `skip` on, to any strides.
        private void storePart(int i, int rows, int n, int skip, float[] tile) {
            float alpha = (float) epilogue.alpha();
            int cols = Math.min(NR, c.cols() - n);
            for (int r = 0; r < rows; r++) {
                for (int j = skip; j < cols; j++) {
                    long at = c.address(i + r, n + j);
                    float v = tile[r * NR + j] * alpha + (float) epilogue.biasAt(i + r, n + j);
                    c.segment().set(FLOAT, at, epilogue.accumulate() ? v + c.segment().get(FLOAT, at) : v);
                }
            }
        }
    }
}
