package dev.graft.tensor.backend;

import dev.graft.tensor.Spec;
import dev.graft.tensor.op.Composite;
import dev.graft.tensor.op.Primitive;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.Optional;

/// A place where tensors live and ops run. Found by its [BackendProvider]; [dev.graft.tensor.Backends] lists and chooses.
///
/// A backend must run every [Primitive]. Composites run by their definition unless [#kernel] offers something better.
public interface Backend {
    /// `cpu`, `reference`, `cuda:0`.
    String name();

    /// One line for people: vector width, threads, device name.
    String description();

    /// Which backend [dev.graft.tensor.Backends#best()] takes: the highest.
    int preference();

    /// Whether this machine can run it; [#description()] says why not otherwise.
    default boolean isAvailable() {
        return true;
    }

    /// A block of at least this size from the pool. Its content is garbage.
    ///
    /// @param holder what it is for, such as the op whose result goes there: a backend that runs out of memory may say who holds most
    Storage allocate(long bytes, String holder);

    /// Host memory used where it is, without a copy, as far as the backend can (a mapped checkpoint). The caller keeps it alive.
    Optional<Storage> wrap(MemorySegment host);

    /// Runs a primitive. Inputs may have any strides; the output is contiguous, or one of the inputs for an in-place update.
    void run(Primitive op, List<View> in, View out);

    /// The kernel for a composite on these inputs, or null when the definition has to do.
    default <O extends Composite> KernelTable.Entry<O> kernel(O op, List<Spec> in) {
        return null;
    }

    /// Copies row-major host bytes into a contiguous view.
    void copyIn(MemorySegment host, View to);

    /// Copies a contiguous view out to host memory.
    void copyOut(View from, MemorySegment host);

    /// Runs work that comes again and again, much the same each time: a training step, a decoded token. A device may take it as a whole.
    ///
    /// @param name of the work
    default void together(String name, Runnable work) {
        work.run();
    }

    /// Waits until everything asked for so far has been computed.
    default void await() {
    }

    MemoryStats memory();

    /// Begins the peak of [#memory] anew, from what is live now: to know what one of several runs took.
    void restartPeak();

    /// Gives memory that the pool holds in reserve back to the system.
    void trim();
}
