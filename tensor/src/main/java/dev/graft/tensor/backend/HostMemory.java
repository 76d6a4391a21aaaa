package dev.graft.tensor.backend;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayDeque;
import java.util.Map;
import java.util.TreeMap;

/// A pool of native memory, 64-byte aligned, large blocks on [HugePages], shared by the backends that compute on the host.
///
/// Fresh native memory costs zeroing and page faults (90 ms for 256 MiB on small pages), a recycled block costs nothing, so blocks are kept by size
/// class: powers of two cut in eight, which wastes at most an eighth. Live and reserve together stay within 5/4 of the peak plus 256 MiB.
///
/// With the system property `graft.poison=true` every block handed out is filled with 0xFF bytes, a NaN in every floating type, so
/// that a kernel which leaves an element unwritten is found.
public final class HostMemory {
    /// One cache line, and the widest vector: a load that splits lines costs twice.
    public static final int ALIGNMENT = 64;

    private static final HostMemory SHARED = new HostMemory();
    private static final long SLACK = 256L << 20;

    private final boolean poison = Boolean.getBoolean("graft.poison");
    private final TreeMap<Long, ArrayDeque<Block>> free = new TreeMap<>();
    private long live;
    private long reserved;
    private long peak;
    private long allocations;

    public static HostMemory shared() {
        return SHARED;
    }

    public Storage allocate(long bytes) {
        long size = sizeClass(bytes);
        Block block = recycle(size);
        if (block == null) block = fresh(size);
        if (poison) block.segment.fill((byte) 0xFF);
        return new Pooled(block);
    }

    /// Zeroed memory outside the pool that is never given back.
    public static MemorySegment forever(long bytes, long alignment) {
        return allocate(bytes, alignment, Arena.global());
    }

    /// Memory that belongs to someone else, such as a mapped file.
    public static Storage wrap(MemorySegment segment) {
        return new Borrowed(segment);
    }

    public synchronized MemoryStats stats() {
        return new MemoryStats(live, reserved, peak, allocations);
    }

    /// Begins the peak anew, from what is live now.
    public synchronized void restartPeak() {
        peak = live;
    }

    public void trim() {
        trimTo(0);
    }

    /// The size that a request is rounded up to.
    static long sizeClass(long bytes) {
        if (bytes <= 512) return Math.max(ALIGNMENT, (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT);
        long step = Long.highestOneBit(bytes - 1) / 8;
        return (bytes + step - 1) / step * step;
    }

    private Block fresh(long size) {
        MemoryStats now = stats();
        trimTo(SLACK + now.peak() + now.peak() / 4 - now.live() - size);
        Arena arena = Arena.ofShared();
        MemorySegment segment;
        try {
            segment = allocate(size, ALIGNMENT, arena);
        } catch (OutOfMemoryError e) {
            arena.close();
            MemoryStats s = stats();
            throw new OutOfMemoryError("no native memory for a tensor block of %d bytes; tensors hold %d bytes, the pool %d in reserve"
                    .formatted(size, s.live(), s.reserved()));
        }
        synchronized (this) {
            allocations++;
            take(size);
        }
        return new Block(segment, arena, size);
    }

    private static MemorySegment allocate(long bytes, long alignment, Arena arena) {
        MemorySegment huge = HugePages.allocate(bytes, arena);
        return huge != null ? huge : arena.allocate(bytes, alignment);
    }

    private synchronized Block recycle(long size) {
        ArrayDeque<Block> blocks = free.get(size);
        if (blocks == null || blocks.isEmpty()) return null;
        reserved -= size;
        take(size);
        return blocks.pop();
    }

    private void take(long size) {
        live += size;
        peak = Math.max(peak, live);
    }

    private synchronized void giveBack(Block block) {
        live -= block.size;
        reserved += block.size;
        free.computeIfAbsent(block.size, _ -> new ArrayDeque<>()).push(block);
    }

    /// Drops the largest reserved blocks until at most `bytes` are held.
    private synchronized void trimTo(long bytes) {
        while (reserved > Math.max(0, bytes)) {
            Map.Entry<Long, ArrayDeque<Block>> largest = free.lastEntry();
            if (largest.getValue().isEmpty()) {
                free.remove(largest.getKey());
                continue;
            }
            Block block = largest.getValue().pop();
            reserved -= block.size;
            block.arena.close();
        }
    }

    private record Block(MemorySegment segment, Arena arena, long size) {
    }

    private final class Pooled extends Storage {
        private final Block block;

        Pooled(Block block) {
            this.block = block;
        }

        @Override
        public long bytes() {
            return block.size;
        }

        @Override
        public MemorySegment segment() {
            return block.segment;
        }

        @Override
        protected void free() {
            giveBack(block);
        }
    }

    private static final class Borrowed extends Storage {
        private final MemorySegment segment;

        Borrowed(MemorySegment segment) {
            this.segment = segment;
        }

        @Override
        public long bytes() {
            return segment.byteSize();
        }

        @Override
        public MemorySegment segment() {
            return segment;
        }

        @Override
        public boolean isReadOnly() {
            return segment.isReadOnly();
        }

        @Override
        protected void free() {
            // the lender frees it
        }
    }
}
