package dev.graft.cuda;

import dev.graft.cuda.driver.CudaException;
import dev.graft.tensor.backend.MemoryStats;
import java.util.ArrayDeque;
import java.util.HashMap;
import java.util.Map;
import java.util.stream.Collectors;

/// A pool of one device's memory.
///
/// Asking the driver for memory takes a millisecond and waits for the device; a recycled block costs nothing. Blocks are kept by size class: powers of two cut in eight, which wastes at most an eighth; large ones are whole
/// multiples of 2 MiB. All work on a device goes through one stream, so a block may be handed out again while its last user is still to run: what comes next runs after it.
///
/// When the device is full the pool gives back what it holds in reserve and asks again; then it says what was asked, what there is and who holds most of it, and nothing else has changed.
///
/// With the system property `graft.poison=true` every block handed out is filled with 0xFF bytes.
final class DevicePool {
    private static final int ALIGNMENT = 256;
    private static final long LARGE = 16L << 20, PAGE = 2L << 20;
    private static final int HOLDERS_NAMED = 5;

    private final Device device;
    private final boolean poison = Boolean.getBoolean("graft.poison");
    private final Map<Long, ArrayDeque<Long>> free = new HashMap<>();            // addresses by size
    private final Map<String, Holder> holders = new HashMap<>();
    private long live;
    private long reserved;
    private long peak;
    private long allocations;
    private boolean isTrimming;
    private volatile long trims;

    /// What live memory is for, in a word, and how much of it there is.
    static final class Holder {
        private final String name;
        private long bytes;
        private long blocks;

        private Holder(String name) {
            this.name = name;
        }
    }

    DevicePool(Device device) {
        this.device = device;
    }

    Device device() {
        return device;
    }

    /// @param holder what it is for, in a word, to be named when memory runs out
    synchronized DeviceStorage allocate(long bytes, String holder) {
        long size = sizeClass(bytes);
        ArrayDeque<Long> kept = free.get(size);
        long address;
        if (kept != null && !kept.isEmpty()) {
            address = kept.pop();
            reserved -= size;
        } else {
            address = fresh(size, bytes);
        }
        live += size;
        peak = Math.max(peak, live);
        Holder of = holders.computeIfAbsent(holder, Holder::new);
        of.bytes += size;
        of.blocks++;
        if (poison) device.poison(address, size);
        return new DeviceStorage(this, address, size, of);
    }

    synchronized void giveBack(DeviceStorage block) {
        long size = block.bytes();
        live -= size;
        reserved += size;
        block.holder().bytes -= size;
        block.holder().blocks--;
        free.computeIfAbsent(size, _ -> new ArrayDeque<>()).push(block.address());
    }

    synchronized MemoryStats stats() {
        return new MemoryStats(live, reserved, peak, allocations);
    }

    synchronized void restartPeak() {
        peak = live;
    }

    /// Gives all that is in reserve back to the device.
    ///
    /// @return whether that was something
    synchronized boolean trim() {
        if (reserved == 0 || isTrimming) return false;
        isTrimming = true;
        try {
            device.awaitQuietly();
            free.forEach((_, addresses) -> addresses.forEach(device::release));
            free.clear();
            reserved = 0;
            trims++;
        } finally {
            isTrimming = false;
        }
        return true;
    }

    /// How often that was done.
    long trims() {
        return trims;
    }

    static long sizeClass(long bytes) {
        if (bytes <= 2048) return Math.max(ALIGNMENT, Math.ceilDiv(bytes, ALIGNMENT) * ALIGNMENT);
        if (bytes >= LARGE) return Math.ceilDiv(bytes, PAGE) * PAGE;
        long step = Long.highestOneBit(bytes - 1) / 8;
        return Math.ceilDiv(bytes, step) * step;
    }

    private long fresh(long size, long asked) {
        allocations++;
        try {
            return device.reserve(size);
        } catch (CudaException e) {
            if (e.code() != CudaException.OUT_OF_MEMORY) throw e;
            throw new OutOfMemoryError(full(asked));
        }
    }

    private String full(long asked) {
        String most = holders.values().stream().filter(h -> h.bytes > 0).sorted((a, b) -> Long.compare(b.bytes, a.bytes))
                .limit(HOLDERS_NAMED).map(h -> "%s in %d blocks of [%s]".formatted(size(h.bytes), h.blocks, h.name))
                .collect(Collectors.joining(", "));
        return "%s has no memory for a tensor of %s: tensors hold %s (%s), others use %s of the %s; smaller batches, --recompute, or weights in fewer bits need less"
                .formatted(device, size(asked),
                        size(live), most.isEmpty() ? "none" : most,
                        size(Math.max(0, device.totalMemory() - device.freeMemory() - live - reserved)), size(device.totalMemory()));
    }

    private static String size(long bytes) {
        return bytes >= 1L << 30 ? "%.2f GiB".formatted((double) bytes / (1L << 30))
                : bytes >= 1 << 20 ? "%.1f MiB".formatted((double) bytes / (1 << 20)) : bytes + " bytes";
    }
}
