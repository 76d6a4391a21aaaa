package dev.graft.tensor.cpu;

import dev.graft.tensor.backend.HostMemory;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SegmentAllocator;
import java.util.concurrent.ConcurrentLinkedDeque;

/// Working memory of one thread for the time of one product: borrowed, given back by [#close], never freed.
///
/// All of it but the tile is native and begins at a multiple of 4096, so that no vector load splits a cache line.
final class Scratch implements AutoCloseable {
    private static final ConcurrentLinkedDeque<Scratch> FREE = new ConcurrentLinkedDeque<>();
    private static final int ALIGNMENT = 4096;

    /// Room for all that has a fixed size, on one large page.
    private static final long SLAB = 2 << 20;

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
        SegmentAllocator slab = SegmentAllocator.slicingAllocator(HostMemory.forever(SLAB, ALIGNMENT));
        panels = slab.allocate(PACKED * 4L, ALIGNMENT);
        stage = slab.allocate((long) STAGE_ROWS * STAGE_ROW, ALIGNMENT);
        sums = slab.allocate(16L * kernels.lanes() * 4, ALIGNMENT);
        folded = slab.allocate(16 * 4, ALIGNMENT);
        workspace = slab.allocate((long) kernels.lanes() * kernels.lanes() * 4, ALIGNMENT);
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
        return had.byteSize() >= bytes ? had : HostMemory.forever(Math.max(bytes, 2 * had.byteSize()), ALIGNMENT);
    }
}
