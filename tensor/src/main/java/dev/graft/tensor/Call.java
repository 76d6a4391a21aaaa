package dev.graft.tensor;

import dev.graft.tensor.backend.Backend;
import dev.graft.tensor.backend.View;
import dev.graft.tensor.op.Op;
import java.util.List;

/// One recorded run of an op: what its gradient may read.
public final class Call implements Node {
    private final Op op;
    private final Tape tape;
    private final Backend backend;
    private final List<Spec> in;
    private final Spec out;
    private final Node[] sources;
    private final Saved[] savedIn;
    private final Saved[] savedOut;

    /// A held view, and the version its block had.
    private record Saved(View view, int version) {
        static Saved of(Tensor t) {
            t.view().storage().retain();
            return new Saved(t.view(), t.view().storage().version());
        }
    }

    Call(Op op, Tape tape, Backend backend, List<Tensor> inputs, List<Tensor> outputs, Node[] sources) {
        this.op = op;
        this.tape = tape;
        this.backend = backend;
        this.sources = sources;
        in = inputs.stream().map(Tensor::spec).toList();
        out = outputs.getFirst().spec();
        Keep keep = op.keep(i -> sources[i] != null);
        savedIn = new Saved[inputs.size()];
        savedOut = new Saved[outputs.size()];
        for (int i = 0; i < savedIn.length; i++) if (keep.input(i)) savedIn[i] = Saved.of(inputs.get(i));
        for (int i = 0; i < savedOut.length; i++) if (keep.output(i)) savedOut[i] = Saved.of(outputs.get(i));
    }

    public int inputs() {
        return in.size();
    }

    public boolean wants(int input) {
        return sources[input] != null;
    }

    public Spec inSpec(int input) {
        return in.get(input);
    }

    public Spec outSpec() {
        return out;
    }

    /// An input as it was; the op must have kept it.
    public Tensor in(int input) {
        return restore(savedIn[input], "input", input);
    }

    /// An output as it was, the result being 0; the op must have kept it.
    public Tensor out(int output) {
        return restore(savedOut[output], "output", output);
    }

    private Tensor restore(Saved saved, String what, int position) {
        if (saved == null)
            throw new TensorException("[%s] the gradient reads %s %d, which keep() does not hold".formatted(op.label(), what, position));
        if (saved.version != saved.view.storage().version()) {
            throw new TensorException(
                    "[%s] %s %d was overwritten in place before the backward pass read it".formatted(op.label(), what, position));
        }
        return Tensor.alias(saved.view, backend, op.label());
    }

    Op op() {
        return op;
    }

    Tape tape() {
        return tape;
    }

    Node source(int input) {
        return sources[input];
    }

    /// Lets go of everything held.
    void release() {
        release(savedIn);
        release(savedOut);
    }

    private static void release(Saved[] saved) {
        for (int i = 0; i < saved.length; i++) {
            if (saved[i] != null) saved[i].view.storage().release();
            saved[i] = null;
        }
    }
}
