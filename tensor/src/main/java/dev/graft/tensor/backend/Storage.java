package dev.graft.tensor.backend;

import java.lang.foreign.MemorySegment;
import java.util.concurrent.atomic.AtomicInteger;

/// A block of a backend's memory, counted by its holders. A block is born with one holder; whoever lets go last gives it back to the pool.
///
/// Memory never waits for the garbage collector: the holders are scopes, tapes and optimizers, and each lets go at a known moment.
public abstract class Storage {
    private final AtomicInteger holders = new AtomicInteger(1);
    private int version;

    /// Usable size in bytes.
    public abstract long bytes();

    /// The block as host memory. Backends whose memory the host can't address throw [IllegalStateException].
    public abstract MemorySegment segment();

    /// Whether nothing may be written here (a mapped checkpoint).
    public boolean isReadOnly() {
        return false;
    }

    /// Gives the block back. Called once, by the last holder.
    protected abstract void free();

    public final void retain() {
        if (holders.getAndIncrement() <= 0) throw new IllegalStateException("a freed block was retained");
    }

    public final void release() {
        int left = holders.decrementAndGet();
        if (left < 0) throw new IllegalStateException("a block was released twice");
        if (left == 0) free();
    }

    /// How many hold it at this moment.
    public final int holders() {
        return holders.get();
    }

    /// How often the block was written in place since it was made; a tape compares it to notice that a saved value was overwritten.
    public final int version() {
        return version;
    }

    public final void written() {
        version++;
    }
}
