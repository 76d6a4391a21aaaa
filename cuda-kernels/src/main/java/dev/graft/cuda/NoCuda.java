package dev.graft.cuda;

import dev.graft.tensor.TensorException;
import dev.graft.tensor.backend.Backend;
import dev.graft.tensor.backend.MemoryStats;
import dev.graft.tensor.backend.Storage;
import dev.graft.tensor.backend.View;
import dev.graft.tensor.op.Primitive;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.Optional;

/// What stands in the place of the first GPU where there is none that can be used, to say why.
record NoCuda(String why) implements Backend {
    @Override
    public String name() {
        return "cuda:0";
    }

    @Override
    public String description() {
        return why;
    }

    @Override
    public int preference() {
        return -1;
    }

    @Override
    public boolean isAvailable() {
        return false;
    }

    private TensorException absent() {
        return new TensorException("backend 'cuda:0' cannot run here: " + why);
    }

    @Override
    public Storage allocate(long bytes, String holder) {
        throw absent();
    }

    @Override
    public Optional<Storage> wrap(MemorySegment host) {
        throw absent();
    }

    @Override
    public void run(Primitive op, List<View> in, View out) {
        throw absent();
    }

    @Override
    public void copyIn(MemorySegment host, View to) {
        throw absent();
    }

    @Override
    public void copyOut(View from, MemorySegment host) {
        throw absent();
    }

    @Override
    public MemoryStats memory() {
        return new MemoryStats(0, 0, 0, 0);
    }

    @Override
    public void restartPeak() {
        // nothing is held
    }

    @Override
    public void trim() {
        // nothing is held
    }
}
