package dev.graft.cuda;

import dev.graft.tensor.backend.Storage;
import java.lang.foreign.MemorySegment;

/// A block of a device's memory.
final class DeviceStorage extends Storage {
    private final DevicePool pool;
    private final long address;
    private final long bytes;
    private final DevicePool.Holder holder;

    DeviceStorage(DevicePool pool, long address, long bytes, DevicePool.Holder holder) {
        this.pool = pool;
        this.address = address;
        this.bytes = bytes;
        this.holder = holder;
    }

    DevicePool.Holder holder() {
        return holder;
    }

    Device device() {
        return pool.device();
    }

    long address() {
        return address;
    }

    @Override
    public long bytes() {
        return bytes;
    }

    @Override
    public MemorySegment segment() {
        throw new IllegalStateException("the host cannot read memory of " + device() + "; copy the tensor out, or to(backend) of the host");
    }

    @Override
    protected void free() {
        pool.giveBack(this);
    }
}
