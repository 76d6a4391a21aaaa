package dev.graft.tensor.cpu;

import dev.graft.tensor.Spec;
import dev.graft.tensor.backend.Backend;
import dev.graft.tensor.backend.HostMemory;
import dev.graft.tensor.backend.KernelTable;
import dev.graft.tensor.backend.MemoryStats;
import dev.graft.tensor.backend.Storage;
import dev.graft.tensor.backend.View;
import dev.graft.tensor.op.Composite;
import dev.graft.tensor.op.Primitive;
import dev.graft.tensor.reference.Loops;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.Optional;

/// The CPU, by the Vector API and all cores. What has no vector kernel (F64, integers, rare layouts) runs in the reference loops.
public final class CpuBackend implements Backend {
    @Override
    public String name() {
        return "cpu";
    }

    @Override
    public String description() {
        return "Vector API";
    }

    @Override
    public int preference() {
        return 10;
    }

    @Override
    public Storage allocate(long bytes) {
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
    public <O extends Composite> KernelTable.Entry<O> kernel(O op, List<Spec> in) {
        return null;
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
    public void trim() {
        HostMemory.shared().trim();
    }
}
