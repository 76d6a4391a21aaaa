package dev.graft.tensor;

import dev.graft.nn.Parameter;
import dev.graft.tensor.op.SquaredNorms;
import java.util.ArrayList;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.BiConsumer;
import java.util.stream.DoubleStream;

/// Gradients by leaf, adding up over backward passes. Owns their memory.
///
/// The sum over leaves in [#norm()] goes in the order the leaves first came, so it is the same in every run.
public final class Grads implements AutoCloseable {
    private final Scope owner = Scope.detached();
    private final Map<Leaf, Tensor> byLeaf = new IdentityHashMap<>();
    private final List<Leaf> order = new ArrayList<>();

    private Grads() {
    }

    public static Grads open() {
        return new Grads();
    }

    /// The gradient of a parameter, in its shape; throws when no backward pass reached it.
    public Tensor of(Parameter p) {
        Tensor g = find(p);
        if (g == null) throw new TensorException("no gradient reached '" + p.name() + "'");
        return g;
    }

    /// The gradient of a watched tensor, in its shape; throws when no backward pass reached it.
    public Tensor of(Tensor watched) {
        Tensor g = find(watched);
        if (g == null)
            throw new TensorException("no gradient reached " + watched.spec() + "; was it watched by the tape that ran backward?");
        return g;
    }

    /// The gradient of a parameter, or null.
    public Tensor find(Parameter p) {
        return byLeaf.get(p.leaf());
    }

    /// The gradient of a watched tensor, or null.
    public Tensor find(Tensor watched) {
        return watched.node() instanceof Leaf leaf ? byLeaf.get(leaf) : null;
    }

    public boolean isEmpty() {
        return byLeaf.isEmpty();
    }

    /// Multiplies every gradient.
    public Grads scale(double factor) {
        if (factor == 1) return this;
        try (var _ = Scope.untracked()) {
            byLeaf.replaceAll((_, g) -> {
                Tensor scaled = owner.keep(g.mul(factor));
                g.close();
                return scaled;
            });
        }
        return this;
    }

    /// L2 norm over all gradients together.
    public double norm() {
        if (isEmpty()) return 0;
        try (var _ = Scope.untracked()) {
            return Math.sqrt(DoubleStream.of(squaredNorms().toDoubles()).sum());
        }
    }

    /// The sum of squares of each gradient, of which there must be one at least, in the widest of their types. For who reads other numbers with them: the norm is the root of their sum.
    public Tensor squaredNorms() {
        DType widest = byLeaf.values().stream().anyMatch(g -> g.dtype() == DType.F64) ? DType.F64 : DType.F32;
        return new SquaredNorms().apply(order.stream().map(leaf -> byLeaf.get(leaf).to(widest)).toArray(Tensor[]::new));
    }

    /// Scales all gradients so that their common norm is at most `max`; returns the norm before (PyTorch's `clip_grad_norm_`). Not above 0: no clipping.
    public double clipNorm(double max) {
        double norm = norm();
        clip(norm, max);
        return norm;
    }

    /// As [#clipNorm], for who knows the norm.
    public void clip(double norm, double max) {
        if (max > 0 && norm > max) scale(max / (norm + 1e-6));
    }

    public void forEach(BiConsumer<Leaf, Tensor> action) {
        for (Leaf leaf : order) action.accept(leaf, byLeaf.get(leaf));
    }

    void add(Leaf leaf, Tensor gradient) {
        Tensor before = byLeaf.get(leaf);
        if (before == null) order.add(leaf);
        Tensor sum = before == null ? Tensor.alias(gradient.contiguous().view(), gradient.backend(), "gradient") : before.add(gradient);
        byLeaf.put(leaf, owner.keep(sum));
        if (before != null) before.close();
    }

    @Override
    public void close() {
        owner.close();
        byLeaf.clear();
        order.clear();
    }
}
