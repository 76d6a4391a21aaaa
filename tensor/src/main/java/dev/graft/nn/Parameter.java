package dev.graft.nn;

import dev.graft.tensor.Leaf;
import dev.graft.tensor.Scope;
import dev.graft.tensor.Shape;
import dev.graft.tensor.ShapeException;
import dev.graft.tensor.Tensor;
import dev.graft.tensor.TensorException;
import java.util.function.UnaryOperator;

/// A named tensor of a module: a weight or a bias. Declared with its shape, filled by a loader or an [Init], frozen unless told otherwise.
public final class Parameter {
    private final Module owner;
    private final String name;
    private final Shape shape;
    private Weight weight;
    private Leaf leaf;
    private UnaryOperator<Tensor> nearest;

    Parameter(Module owner, String name, Shape shape) {
        this.owner = owner;
        this.name = name;
        this.shape = shape;
    }

    /// Path from the root: `model.layers.0.mlp.up_proj.weight`.
    public String name() {
        String path = owner.path();
        return path.isEmpty() ? name : path + "." + name;
    }

    public Shape shape() {
        return shape;
    }

    /// Whether it has values yet.
    public boolean isFilled() {
        return weight != null;
    }

    /// Gives it its values, whose memory the root module then owns. Earlier values are let go.
    public void fill(Weight values) {
        if (!values.shape().equals(shape)) throw new ShapeException("'%s' is %s, got %s".formatted(name(), shape, values.shape()));
        boolean trainable = isTrainable();
        Scope memory = owner.memory();
        values.tensors().forEach(memory::keep);
        if (weight != null) weight.tensors().filter(old -> values.tensors().noneMatch(t -> t == old)).forEach(Tensor::close);
        weight = values;
        if (trainable) trainable(true);
    }

    public void fill(Tensor values) {
        fill(new Weight.Dense(values));
    }

    /// The values in the form they are stored in.
    public Weight weight() {
        if (weight == null) throw new TensorException("'" + name() + "' has no values yet; load or initialise the model first");
        return weight;
    }

    /// The values as a tensor; only for a parameter that is stored as one.
    public Tensor value() {
        return switch (weight()) {
            case Weight.Dense(Tensor value) -> value;
            case Weight other -> throw new TensorException("'%s' is stored as %s; read weight().dense()".formatted(name(), other.format()));
        };
    }

    public boolean isTrainable() {
        return leaf != null;
    }

    /// Whether backward passes compute its gradient. Values that lie in a read-only file are copied, so that an optimizer can write.
    public void trainable(boolean trainable) {
        if (trainable && !(weight() instanceof Weight.Dense)) {
            throw new TensorException(
                    "'%s' is stored as %s and cannot be trained; keep it as f32 or bf16".formatted(name(), weight.format()));
        }
        if (trainable && value().view().storage().isReadOnly()) {
            try (var _ = Scope.open(value().backend())) {
                fill(value().detach().copy());
            }
        }
        leaf = trainable ? leaf == null ? new Leaf(name()) : leaf : null;
        if (weight instanceof Weight.Dense(Tensor value)) value.leaf(leaf);
    }

    /// Keeps training within a set of values (matrices with orthonormal columns, say), by what gives the nearest ones in it.
    public void within(UnaryOperator<Tensor> nearest) {
        this.nearest = nearest;
    }

    /// Takes the values back to the set they are kept within: how an optimizer ends a step.
    public void settle() {
        if (nearest == null) return;
        try (var _ = Scope.untracked()) {
            value().assign(nearest.apply(value()));
        }
    }

    /// The end of backward passes that stands for this parameter, or null when it is frozen.
    public Leaf leaf() {
        return leaf;
    }

    @Override
    public String toString() {
        return name() + " " + (weight == null ? "" : weight.format()) + shape;
    }
}
