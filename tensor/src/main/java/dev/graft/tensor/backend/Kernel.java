package dev.graft.tensor.backend;

import dev.graft.tensor.op.Composite;
import java.util.List;

/// A backend's own way of computing one composite op. Reads the inputs, writes every element of every output; the outputs are fresh and hold
/// garbage. Outputs never overlap inputs, except in an in-place update, where output `i` is one of the inputs itself.
@FunctionalInterface
public interface Kernel<O extends Composite> {
    void run(O op, List<View> in, List<View> out);
}
