package dev.graft.tensor.cpu;

import dev.graft.tensor.DType;
import dev.graft.tensor.Spec;
import dev.graft.tensor.backend.HostMemory;
import dev.graft.tensor.backend.View;

/// Memory for the time of one op, from the pool.
record Temporary(View view, boolean isOwn) implements AutoCloseable {

    static Temporary of(Spec spec) {
        return new Temporary(View.of(HostMemory.shared().allocate(spec.bytes()), spec), true);
    }

    /// The view itself where it lies row-major without gaps, else a copy that does.
    static Temporary contiguous(View view) {
        if (view.isContiguous()) return new Temporary(view, false);
        Temporary copy = of(view.spec());
        CopyKernel.run(view, copy.view);
        return copy;
    }

    /// A half-precision view widened to F32; any other as it is.
    static Temporary widened(View view) {
        if (!view.dtype().isHalf()) return new Temporary(view, false);
        Temporary wide = of(view.spec().with(DType.F32));
        CastKernel.run(view, wide.view);
        return wide;
    }

    @Override
    public void close() {
        if (isOwn) view.storage().release();
    }
}
