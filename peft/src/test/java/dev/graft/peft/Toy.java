package dev.graft.peft;

import dev.graft.nn.Layer;
import dev.graft.nn.Linear;
import dev.graft.nn.Module;
import dev.graft.nn.Parameter;
import dev.graft.tensor.DType;
import dev.graft.tensor.Scope;
import dev.graft.tensor.Tensor;
import java.util.Map;

/// A model that is nothing but layers with names.
final class Toy extends Module {
    /// Layers at their paths, without values.
    static Toy of(Map<String, ? extends Layer> layers) {
        Toy toy = new Toy();
        layers.forEach(toy::child);
        return toy;
    }

    /// One linear layer of these sizes at a path, without values.
    static Toy linear(String path, int in, int out, boolean bias) {
        return of(Map.of(path, new Linear(in, out, bias)));
    }

    Linear linear(String path) {
        return modules(Linear.class).filter(l -> l.path().equals(path)).findFirst().orElseThrow();
    }

    /// Random values everywhere, in a type.
    Toy filled(DType dtype) {
        try (var _ = Scope.untracked()) {
            parameters().forEach(p -> p.fill(Tensor.randn(DType.F64, p.shape(), p.name().hashCode()).to(dtype)));
        }
        return this;
    }

    /// F64 values, row-major.
    static void fill(Parameter p, double... values) {
        try (var _ = Scope.untracked()) {
            p.fill(Tensor.of(values, p.shape().dims()));
        }
    }
}
