package dev.graft.nn;

import dev.graft.tensor.Scope;
import dev.graft.tensor.Shape;
import dev.graft.tensor.Tensor;
import dev.graft.tensor.TensorException;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.stream.Stream;

/// A tree of named parts with named parameters. One name has three uses: a part's path is its checkpoint key, the pattern an adapter targets, and
/// the name in an error.
///
/// The root owns the parameters' memory; closing it gives that back.
public abstract class Module implements AutoCloseable {
    private final Map<String, Module> children = new LinkedHashMap<>();
    private final Map<String, Parameter> parameters = new LinkedHashMap<>();
    private Module parent;
    private String name = "";
    private Scope memory;

    /// Adds a part under its name in the checkpoint, which may be a path (`layers.0`).
    protected final <M extends Module> M child(String name, M module) {
        if (children.putIfAbsent(name, module) != null) throw new TensorException("'" + path() + "' has a part '" + name + "' already");
        Module part = module;
        part.parent = this;
        part.name = name;
        return module;
    }

    /// Declares a parameter.
    protected final Parameter param(String name, Shape shape) {
        Parameter p = new Parameter(this, name, shape);
        if (parameters.putIfAbsent(name, p) != null) throw new TensorException("'" + path() + "' has a parameter '" + name + "' already");
        return p;
    }

    /// Path from the root: `model.layers.0.mlp`; empty for the root.
    public final String path() {
        if (parent == null) return name;
        String above = parent.path();
        return above.isEmpty() ? name : above + "." + name;
    }

    /// All parameters of this part and those below, in declaration order.
    public final Stream<Parameter> parameters() {
        return Stream.concat(parameters.values().stream(), children.values().stream().flatMap(Module::parameters));
    }

    /// This part and all below of a kind, in declaration order.
    public final <M extends Module> Stream<M> modules(Class<M> kind) {
        Stream<M> self = kind.isInstance(this) ? Stream.of(kind.cast(this)) : Stream.empty();
        return Stream.concat(self, children.values().stream().flatMap(m -> m.modules(kind)));
    }

    /// Gives this tree a tensor that is no parameter (a table of angles), to be let go with it. Returns the tensor.
    protected final Tensor own(Tensor t) {
        return memory().keep(t);
    }

    final Scope memory() {
        if (parent != null) return parent.memory();
        if (memory == null) memory = Scope.detached();
        return memory;
    }

    /// Gives the memory of all parameters back. Only the root is closed.
    @Override
    public void close() {
        if (parent != null) throw new TensorException("'" + path() + "' is a part; close the whole model");
        if (memory != null) memory.close();
    }
}
