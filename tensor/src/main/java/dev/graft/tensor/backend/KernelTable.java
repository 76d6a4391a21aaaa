package dev.graft.tensor.backend;

import dev.graft.tensor.DType;
import dev.graft.tensor.Spec;
import dev.graft.tensor.op.Composite;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/// Which composites a backend has kernels for, by op class and by the type of the first input. What is not listed runs by its definition, and so does what has an input that no kernel here
/// reads: they read F32 and integers, those that widen for themselves 16-bit types, too.
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
    private final Set<Class<?>> widening;

    private KernelTable(Map<Key, Entry<?>> entries, Set<Class<?>> widening) {
        this.entries = Map.copyOf(entries);
        this.widening = Set.copyOf(widening);
    }

    public static Builder builder() {
        return new Builder();
    }

    /// The kernel for this op on these inputs, or null.
    @SuppressWarnings("unchecked")
    public <O extends Composite> Entry<O> find(O op, List<Spec> in) {
        Entry<O> entry = in.isEmpty() ? null : (Entry<O>) entries.get(new Key(op.getClass(), in.getFirst().dtype()));
        return entry != null && in.stream().allMatch(s -> isRead(op, s.dtype())) ? entry : null;
    }

    private boolean isRead(Composite op, DType type) {
        return type == DType.F32 || !type.isFloating() || type.isHalf() && widening.contains(op.getClass());
    }

    public static final class Builder {
        private final Map<Key, Entry<?>> entries = new HashMap<>();
        private final Set<Class<?>> widening = new HashSet<>();

        public <O extends Composite> Builder add(Class<O> op, DType dtype, Kernel<O> kernel) {
            entries.put(new Key(op, dtype), new Entry<>(kernel, Layout.CONTIGUOUS));
            return this;
        }

        public <O extends Composite> Builder addStrided(Class<O> op, DType dtype, Kernel<O> kernel) {
            entries.put(new Key(op, dtype), new Entry<>(kernel, Layout.STRIDED));
            return this;
        }

        /// Ops whose kernels widen 16-bit inputs for themselves.
        public Builder widening(List<Class<? extends Composite>> ops) {
            widening.addAll(ops);
            return this;
        }

        public KernelTable build() {
            return new KernelTable(entries, widening);
        }
    }
}
