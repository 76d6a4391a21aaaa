package dev.graft.tensor;

import dev.graft.tensor.backend.Backend;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Supplier;

/// Owns every tensor made on this thread while it is open. Scopes nest and close in reverse order; closing gives the memory back.
///
/// ```
/// try (var _ = Scope.open()) {
///     Tensor y = x.matmul(w).tanh();        // intermediate results live until the brace
/// }
/// ```
public sealed class Scope implements AutoCloseable permits Tape {
    private static final ThreadLocal<Scope> CURRENT = new ThreadLocal<>();

    private final Scope parent;
    private final Backend backend;
    private final Tape tape;
    private final boolean onStack;
    private final List<Tensor> owned = new ArrayList<>();
    private boolean closed;

    /// @param recording this scope's tape, when it is not a tape itself
    Scope(Backend backend, boolean onStack, Tape recording) {
        this.backend = backend;
        this.onStack = onStack;
        this.tape = this instanceof Tape self ? self : recording;
        this.parent = onStack ? CURRENT.get() : null;
        if (onStack) CURRENT.set(this);
    }

    /// A scope on the backend of the enclosing one; the best there is when it is the outermost.
    public static Scope open() {
        Scope outer = CURRENT.get();
        return new Scope(outer == null ? Backends.best() : outer.backend, true, outer == null ? null : outer.tape);
    }

    /// A scope in which new tensors are made on this backend.
    public static Scope open(Backend backend) {
        Scope outer = CURRENT.get();
        return new Scope(backend, true, outer == null ? null : outer.tape);
    }

    /// A scope inside which nothing is recorded, even under a tape.
    public static Scope untracked() {
        Scope outer = CURRENT.get();
        return new Scope(outer == null ? Backends.best() : outer.backend, true, null);
    }

    /// An owner that is not bound to a thread's stack: it only holds what [#keep] gives it. Models own their parameters this way.
    public static Scope detached() {
        return new Scope(null, false, null);
    }

    /// Moves a tensor into this scope and returns it: how a result outlives the scope it was made in. The tensor must not be recorded
    /// on a tape that closes earlier and be differentiated later.
    public Tensor keep(Tensor t) {
        if (closed) throw new TensorException("this scope is closed; it cannot keep " + t.spec());
        t.requireOpen("keep");
        if (t.owner() != this) {
            t.owner(this);
            owned.add(t);
        }
        return t;
    }

    /// Computes a result and lets go of everything else made on the way; the result belongs to the scope around the call. What a tape holds for its
    /// backward pass stays held.
    public static Tensor result(Supplier<Tensor> body) {
        Scope outer = current("scope");
        try (var _ = open()) {
            return outer.keep(body.get());
        }
    }

    /// The innermost open scope of this thread.
    public static Scope enclosing() {
        return current("scope");
    }

    /// The innermost open scope of this thread, for the op that needs one.
    static Scope current(String op) {
        Scope scope = CURRENT.get();
        if (scope == null) throw new TensorException("[" + op + "] no open Scope; wrap this in try (var _ = Scope.open())");
        return scope;
    }

    /// The innermost open scope of this thread, or null.
    static Scope currentOrNull() {
        return CURRENT.get();
    }

    final Backend backend() {
        return backend;
    }

    /// The tape that records here, or null.
    final Tape tape() {
        return tape;
    }

    final Scope parent() {
        return parent;
    }

    final void own(Tensor t) {
        owned.add(t);
    }

    public final boolean isClosed() {
        return closed;
    }

    @Override
    public void close() {
        if (closed) return;
        if (onStack) {
            if (CURRENT.get() != this) throw new TensorException("scopes close in reverse order, on the thread that opened them");
            if (parent == null) CURRENT.remove();
            else CURRENT.set(parent);
        }
        closed = true;
        for (Tensor t : owned) if (t.owner() == this) t.close();
        owned.clear();
    }
}
