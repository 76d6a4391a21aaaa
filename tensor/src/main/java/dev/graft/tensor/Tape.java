package dev.graft.tensor;

import dev.graft.tensor.op.Op;
import java.util.ArrayList;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;

/// A scope that also remembers what happened in it, so that gradients can be computed: reverse-mode differentiation.
///
/// Recording is opt-in and selective: only calls that a trainable [dev.graft.nn.Parameter] or a [#watch]ed tensor reaches are remembered, and of those
/// only what their gradient reads. A frozen weight costs neither a gradient nor a saved activation.
///
/// ```
/// try (Tape tape = Tape.open(); Grads grads = tape.backward(loss(model, batch))) { … }
/// ```
public final class Tape extends Scope {
    /// What a tape does with a call: hold what its gradient needs, or only note that the result depends on a leaf.
    private enum Mode {
        RECORD, PROBE
    }

    private final Mode mode;
    private final boolean training;
    private final long seed;
    private long draws;
    private final List<Call> calls = new ArrayList<>();
    private boolean used;

    private Tape(Scope outer, Mode mode, boolean training, long seed, long draws) {
        super(outer == null ? Backends.best() : outer.backend(), true, null);
        this.mode = mode;
        this.training = training;
        this.seed = seed;
        this.draws = draws;
    }

    /// A tape under which dropout does nothing.
    public static Tape open() {
        return new Tape(currentOrNull(), Mode.RECORD, false, 0, 0);
    }

    /// A tape under which dropout acts. The same seed draws the same elements, on every backend.
    public static Tape training(long seed) {
        return new Tape(currentOrNull(), Mode.RECORD, true, seed, 0);
    }

    /// The tape that records on this thread now, or null.
    public static Tape recording() {
        Scope scope = currentOrNull();
        return scope == null ? null : scope.tape();
    }

    /// A tape under which dropout draws what it drew when the mark was taken: for computing a part again.
    public static Tape replay(Mark mark) {
        return new Tape(currentOrNull(), Mode.RECORD, mark.training, mark.seed, mark.draws);
    }

    /// A tape that holds nothing and only finds out what depends on a leaf, drawing random numbers from the mark on.
    public static Tape probe(Mark mark) {
        return new Tape(currentOrNull(), Mode.PROBE, mark.training, mark.seed, mark.draws);
    }

    /// Where a tape's random numbers stand.
    public record Mark(boolean training, long seed, long draws) {
    }

    public Mark mark() {
        return new Mark(training, seed, draws);
    }

    /// Goes on drawing from where another tape, opened at this one's mark, has come to.
    public void resume(Mark mark) {
        draws = mark.draws;
    }

    /// Whether dropout acts.
    public boolean isTraining() {
        return training;
    }

    /// A seed for one random op, different at each call.
    public long nextSeed() {
        long z = seed + 0x9E3779B97F4A7C15L * ++draws;                     // SplitMix64 (Steele et al. 2014)
        z = (z ^ z >>> 30) * 0xBF58476D1CE4E5B9L;
        z = (z ^ z >>> 27) * 0x94D049BB133111EBL;
        return z ^ z >>> 31;
    }

    /// The same tensor as a leaf, whose gradient [#backward] computes.
    public Tensor watch(Tensor t) {
        if (!t.dtype().isFloating()) throw new TensorException("only floating tensors have gradients, got " + t.spec());
        return Tensor.alias(t.view(), t.backend(), "watch").node(new Leaf("watched " + t.spec()));
    }

    /// Whether the tensor depends on a leaf, as far as this tape has seen.
    public boolean tracks(Tensor t) {
        return source(t) != null;
    }

    /// Gradients of a scalar with respect to every leaf it depends on. A tape is good for one backward pass.
    public Grads backward(Tensor loss) {
        Grads grads = Grads.open();
        backward(loss, grads);
        return grads;
    }

    /// The same, added to gradients that are there already: accumulation over micro-batches.
    public void backward(Tensor loss, Grads into) {
        if (loss.shape().size() != 1)
            throw new TensorException("backward starts from a single number, got " + loss.spec() + "; sum it first");
        try (var _ = Scope.untracked()) {
            backward(loss, Tensor.ones(loss.spec()), into);
        }
    }

    /// From a tensor and its gradient `dy`, of the same shape (a vector-Jacobian product).
    public void backward(Tensor y, Tensor dy, Grads into) {
        if (mode != Mode.RECORD || used) throw new TensorException("a tape is good for one backward pass; record again on a new one");
        used = true;
        Node start = source(y);
        if (start == null)
            throw new TensorException("nothing trainable reaches " + y.spec() + "; is a parameter trainable, or a tensor watched?");
        Map<Node, Tensor> pending = new IdentityHashMap<>();
        try (Scope walk = Scope.untracked()) {
            add(start, dy, pending, into);
            for (int i = calls.size() - 1; i >= 0; i--) {
                Call call = calls.set(i, null);
                Tensor gradient = pending.remove(call);
                if (gradient != null) {
                    try (var _ = Scope.open()) {
                        Answers answers = new Answers(call, walk, pending, into);
                        call.op().vjp(call, gradient, answers);
                        answers.check();
                    }
                    gradient.close();
                }
                call.release();
            }
        }
        calls.clear();
    }

    private static void add(Node node, Tensor gradient, Map<Node, Tensor> pending, Grads into) {
        if (node instanceof Leaf leaf) {
            into.add(leaf, gradient);
            return;
        }
        Tensor before = pending.get(node);
        Tensor sum = before == null ? Tensor.alias(gradient.view(), gradient.backend(), "gradient") : before.add(gradient);
        pending.put(node, sum);
        if (before != null) before.close();
    }

    /// Puts a call on the tape if any input wants a gradient.
    void record(Op op, List<Tensor> in, List<Tensor> out) {
        Node[] sources = new Node[in.size()];
        boolean any = false;
        for (int i = 0; i < sources.length; i++) {
            sources[i] = source(in.get(i));
            any |= sources[i] != null;
        }
        if (any) record(op, in, out, sources);
    }

    /// Puts a call on the tape whatever its inputs want: for parts that use parameters by themselves.
    public void recordAlways(Op op, List<Tensor> in, List<Tensor> out) {
        record(op, in, out, in.stream().map(this::source).toArray(Node[]::new));
    }

    private void record(Op op, List<Tensor> in, List<Tensor> out, Node[] sources) {
        if (mode == Mode.PROBE) {
            out.getFirst().node(new Leaf("probe"));
            return;
        }
        Call call = new Call(op, this, out.getFirst().backend(), in, out, sources);
        calls.add(call);
        out.getFirst().node(call);
    }

    /// The node to which this tape sends a tensor's gradient, or null when it is a constant here.
    private Node source(Tensor t) {
        return switch (t.node()) {
            case null -> null;
            case Leaf leaf -> leaf;
            case Call call when call.tape() == this -> call;
            case Call call when call.tape().isClosed() || call.tape().used -> null;
            case Call call -> throw new TensorException(
                    "a result of [%s] is recorded on an outer tape, where its gradient would be lost; detach() it"
                            .formatted(call.op().label()));
        };
    }

    @Override
    public void close() {
        super.close();
        for (Call call : calls) if (call != null) call.release();
        calls.clear();
    }

    private static final class Answers implements Gradients {
        private final Call call;
        private final Scope walk;
        private final Map<Node, Tensor> pending;
        private final Grads into;
        private long answered;

        Answers(Call call, Scope walk, Map<Node, Tensor> pending, Grads into) {
            this.call = call;
            this.walk = walk;
            this.pending = pending;
            this.into = into;
        }

        @Override
        public boolean wants(int input) {
            return call.wants(input);
        }

        @Override
        public void of(int input, Supplier<Tensor> gradient) {
            answered |= 1L << input;
            if (!call.wants(input)) return;
            Tensor g = gradient.get();
            Spec wanted = call.inSpec(input);
            if (!g.shape().equals(wanted.shape()) || g.dtype() != wanted.dtype().computed()) {
                throw new TensorException("[%s] the gradient of input %d must be %s, got %s".formatted(call.op().label(), input,
                        wanted.with(wanted.dtype().computed()), g.spec()));
            }
            Node source = call.source(input);
            add(source, g, pending, into);
            Tensor sum = pending.get(source);
            if (sum != null) walk.keep(sum);
        }

        @Override
        public void none(int... inputs) {
            for (int i : inputs) answered |= 1L << i;
        }

        @Override
        public void constant(int... inputs) {
            for (int i : inputs) {
                if (call.wants(i)) {
                    throw new TensorException("[%s] input %d, %s, must be a constant: its gradient is not computed; detach() it"
                            .formatted(call.op().label(), i, call.inSpec(i)));
                }
            }
        }

        @Override
        public void leaves(Grads inner) {
            inner.forEach((leaf, g) -> {
                if (!leaf.name().startsWith("watched")) into.add(leaf, g);
            });
        }

        void check() {
            for (int i = 0; i < call.inputs(); i++) {
                if (call.wants(i) && (answered >> i & 1) == 0) {
                    throw new TensorException("[%s] vjp gave no gradient for input %d; answer with of(%d, …), or none(%d) if it has none"
                            .formatted(call.op().label(), i, i, i));
                }
            }
        }
    }
}
