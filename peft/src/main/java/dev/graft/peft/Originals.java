package dev.graft.peft;

import dev.graft.nn.Parameter;
import dev.graft.nn.Weight;
import dev.graft.tensor.DType;
import dev.graft.tensor.Scope;
import dev.graft.tensor.Shape;
import dev.graft.tensor.Tensor;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/// Values that were taken out of a model's parameters for a while. A mapped file's stay where they are: what is held is a second handle.
final class Originals {
    private final Map<Parameter, Weight> values = new LinkedHashMap<>();

    /// Holds the values a parameter has now, unless it holds earlier ones.
    void remember(Parameter p) {
        if (values.containsKey(p)) return;
        values.put(p, switch (p.weight()) {
            case Weight.Dense(Tensor value) -> new Weight.Dense(handle(value));
            case Weight.Q8(Tensor q, Tensor scale) -> new Weight.Q8(handle(q), handle(scale));
            case Weight.Nf4(Shape shape, List<Tensor> parts) -> new Weight.Nf4(shape, parts.stream().map(Originals::handle).toList());
        });
    }

    private static Tensor handle(Tensor t) {
        return Scope.detached().keep(t.detach());
    }

    /// The type a parameter's values were stored in; F32 where they were quantised.
    DType dtype(Parameter p) {
        return values.get(p) instanceof Weight.Dense(Tensor value) ? value.dtype() : DType.F32;
    }

    /// Gives all parameters their values back.
    void putBack() {
        values.forEach((p, original) -> {
            boolean gone = p.weight().tensors().anyMatch(Tensor::isClosed); // the model was closed first
            if (gone) original.tensors().forEach(Tensor::close);
            else p.fill(original);
        });
        values.clear();
    }

    /// Lets go of the values.
    void forget() {
        values.values().forEach(w -> w.tensors().forEach(Tensor::close));
        values.clear();
    }
}
