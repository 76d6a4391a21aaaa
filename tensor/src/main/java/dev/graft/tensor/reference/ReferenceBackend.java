package dev.graft.tensor.reference;

import dev.graft.tensor.backend.Backend;
import dev.graft.tensor.backend.HostMemory;
import dev.graft.tensor.backend.MemoryStats;
import dev.graft.tensor.backend.Storage;
import dev.graft.tensor.backend.View;
import dev.graft.tensor.op.Primitive;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.Optional;

/// The judge: every primitive as a plain loop in double precision, every composite by its definition. Slow, single-threaded, meant to be read.
public final class ReferenceBackend implements Backend {
    @Override
    public String name() {
        return "reference";
    }

    @Override
    public String description() {
        return "plain loops in double precision";
    }

    @Override
    public int preference() {
        return 0;
    }

    @Override
    public Storage allocate(long bytes, String holder) {
        return HostMemory.shared().allocate(bytes);
    }

    @Override
    public Optional<Storage> wrap(MemorySegment host) {
        return Optional.of(HostMemory.wrap(host));
    }

    @Override
    public void run(Primitive op, List<View> in, View out) {
        Loops.run(op, in, out);
    }

    @Override
    public void copyIn(MemorySegment host, View to) {
        MemorySegment.copy(host, 0, to.segment(), to.byteOffset(), to.spec().bytes());
    }

    @Override
    public void copyOut(View from, MemorySegment host) {
        MemorySegment.copy(from.segment(), from.byteOffset(), host, 0, from.spec().bytes());
    }

    @Override
    public MemoryStats memory() {
        return HostMemory.shared().stats();
    }

    @Override
    public void restartPeak() {
        HostMemory.shared().restartPeak();
    }

    @Override
    public void trim() {
        HostMemory.shared().trim();
    }
}
