package dev.graft.tensor.cpu;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.concurrent.ConcurrentLinkedDeque;

/// Working memory of one thread for the time of one product: borrowed, given back by [#close], never freed.
///
/// All of it but the tile is native and begins at a multiple of 4096, so that no vector load splits a cache line.
final class Scratch implements AutoCloseable {
    private static final ConcurrentLinkedDeque<Scratch> FREE = new ConcurrentLinkedDeque<>();
    private static final int ALIGNMENT = 4096;

    /// Floats of packed A, and as many of packed B, that a thread works on before the next: 1 MB together, half of the second-level cache of a
    /// server's core. At least a panel of full length.
    static final int PACKED = 128 << 10;

    /// Rows and columns of the stage, where weights are floats for a moment between widening and transposing.
    static final int STAGE_ROWS = 32;
    static final int STAGE_COLS = 128;
    static final int STAGE_ROW = (STAGE_COLS + 16) * 4;

    private final float[] tile;
    private final MemorySegment panels;
    private final MemorySegment stage;
    private final MemorySegment sums;
    private final MemorySegment folded;
    private final MemorySegment workspace;
    private MemorySegment a = MemorySegment.NULL;
    private MemorySegment x = MemorySegment.NULL;

    /// Use [#borrow].
    Scratch(Kernels kernels) {
        tile = new float[kernels.tileRows() * kernels.tileCols()];
        panels = allocate(PACKED * 4L);
        stage = allocate((long) STAGE_ROWS * STAGE_ROW);
        sums = allocate(16L * kernels.lanes() * 4);
        folded = allocate(16 * 4);
        workspace = allocate((long) kernels.lanes() * kernels.lanes() * 4);
    }

    static Scratch borrow() {
        Scratch free = FREE.pollFirst();
        return free != null ? free : new Scratch(Gemm.KERNELS);
    }

    /// Gives it back.
    @Override
    public void close() {
        FREE.addFirst(this);
    }

    /// One tile of sums.
    float[] tile() {
        return tile;
    }

    /// Packed panels of B, one behind the other, each of [kc, tileCols].
    MemorySegment panels() {
        return panels;
    }

    MemorySegment stage() {
        return stage;
    }

    /// Partial sums of 16 dot products.
    MemorySegment sums() {
        return sums;
    }

    /// 16 dot products.
    MemorySegment folded() {
        return folded;
    }

    MemorySegment workspace() {
        return workspace;
    }

    /// Packed rows of A, [rows, KC].
    MemorySegment a(int rows) {
        a = atLeast(a, (long) rows * Kernels.A_ROW);
        return a;
    }

    /// Any other memory of so many bytes.
    MemorySegment x(long bytes) {
        x = atLeast(x, bytes);
        return x;
    }

    private static MemorySegment atLeast(MemorySegment had, long bytes) {
        return had.byteSize() >= bytes ? had : allocate(Math.max(bytes, 2 * had.byteSize()));
    }

    private static MemorySegment allocate(long bytes) {
        return Arena.global().allocate(bytes, ALIGNMENT);
    }
}
