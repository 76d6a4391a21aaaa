package dev.graft.tensor.backend;

import dev.graft.tensor.DType;
import dev.graft.tensor.Spec;
import dev.graft.tensor.op.Composite;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/// Which composites a backend has kernels for, by op class and by the type of the first input. What is not listed runs by its definition.
public final class KernelTable {
    /// What a kernel asks of its inputs: all contiguous (the engine copies those that are not), or it reads strides itself.
    public enum Layout {
        CONTIGUOUS, STRIDED
    }

    public record Entry<O extends Composite>(Kernel<O> kernel, Layout layout) {
    }

    private record Key(Class<?> op, DType dtype) {
    }

    private final Map<Key, Entry<?>> entries;

    private KernelTable(Map<Key, Entry<?>> entries) {
        this.entries = Map.copyOf(entries);
    }

    public static Builder builder() {
        return new Builder();
    }

    /// The kernel for this op on these inputs, or null.
    @SuppressWarnings("unchecked")
    public <O extends Composite> Entry<O> find(O op, List<Spec> in) {
        return in.isEmpty() ? null : (Entry<O>) entries.get(new Key(op.getClass(), in.getFirst().dtype()));
    }

    public static final class Builder {
        private final Map<Key, Entry<?>> entries = new HashMap<>();

        public <O extends Composite> Builder add(Class<O> op, DType dtype, Kernel<O> kernel) {
            entries.put(new Key(op, dtype), new Entry<>(kernel, Layout.CONTIGUOUS));
            return this;
        }

        public <O extends Composite> Builder addStrided(Class<O> op, DType dtype, Kernel<O> kernel) {
            entries.put(new Key(op, dtype), new Entry<>(kernel, Layout.STRIDED));
            return this;
        }

        public KernelTable build() {
            return new KernelTable(entries);
        }
    }
}
