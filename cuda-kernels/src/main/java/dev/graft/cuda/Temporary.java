package dev.graft.cuda;

import dev.graft.tensor.Spec;
import dev.graft.tensor.backend.View;

/// Memory of a device for the time of some launches. It may be closed before they have run: what gets the memory next runs after them.
record Temporary(DeviceStorage storage, View view) implements AutoCloseable {
    static Temporary of(Device device, Spec spec) {
        DeviceStorage storage = device.pool().allocate(spec.bytes(), "temporary");
        return new Temporary(storage, View.of(storage, spec));
    }

    /// A copy of what lies elsewhere; the view itself where it lies row-major already.
    static Temporary contiguous(View v) {
        if (v.isContiguous()) {
            v.storage().retain();
            return new Temporary((DeviceStorage) v.storage(), v);
        }
        Temporary copy = of(device(v), v.spec());
        CopyKernels.copy(v, copy.view);
        return copy;
    }

    /// The device that a tensor is on.
    static Device device(View v) {
        return ((DeviceStorage) v.storage()).device();
    }

    @Override
    public void close() {
        storage.release();
    }
}
