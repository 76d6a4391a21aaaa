package dev.graft.cuda;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import dev.graft.cuda.CudaKernel.Parameter;
import dev.graft.tensor.DType;
import dev.graft.tensor.backend.Storage;
import dev.graft.tensor.backend.View;
import dev.graft.tensor.op.Affine;
import dev.graft.tensor.op.Binary;
import dev.graft.tensor.op.Cast;
import dev.graft.tensor.op.Primitive;
import dev.graft.tensor.op.Unary;
import dev.graft.tensor.op.UnaryGrad;
import dev.graft.tensor.op.Where;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Set;

/// Ops of a device that go element by element wait here for more of their kind, and are done in one launch (chain.cu) when anything else is asked of the device.
///
/// What waits holds its tensors' memory. A result whose memory nobody else holds by then, such as what lies between two ops of a formula, is never written, and not even computed where no other step needs it.
///
/// The system property `graft.cuda.chains=false` lets each op be launched as it comes.
final class Chain {
    private static final int STEPS = 24, INPUTS = 8, RESULTS = STEPS - INPUTS, VALUES = 8, EACH = 4;
    private static final int STEP = 16, INPUTS_AT = 8 + STEPS * STEP, RESULTS_AT = INPUTS_AT + INPUTS * Parameter.OPERAND.size();
    private static final CudaKernel CHAIN = CudaKernel.declare("chain_f32", Parameter.struct(RESULTS_AT + RESULTS * 8), Parameter.I64);

    private final Device device;
    private final boolean isOn = Boolean.parseBoolean(System.getProperty("graft.cuda.chains", "true"));
    private final List<Value> values = new ArrayList<>();
    private final Set<Storage> held = Collections.newSetFromMap(new IdentityHashMap<>());
    private int inputs;
    private volatile boolean waits;

    /// In the order of chain.cu.
    private enum Kind {
        LOAD, UNARY, UNARY_GRAD, BINARY, AFFINE, WHERE, CAST
    }

    /// One number of each element: read from memory, or a step's result.
    private static final class Value {
        final Kind kind;
        final Primitive op;
        final List<View> in;
        final View view;                                                         // where it lies, or is to lie
        final Value[] from;
        int lastUse;                                                             // the position of the last that is computed from it; -1: none
        int place;                                                               // among the kernel's values
        boolean isWritten;

        Value(Kind kind, Primitive op, List<View> in, View view, Value... from) {
            this.kind = kind;
            this.op = op;
            this.in = in;
            this.view = view;
            this.from = from;
        }

        boolean isNeeded() {
            return isWritten || lastUse >= 0;
        }
    }

    Chain(Device device) {
        this.device = device;
    }

    /// Lets an op wait, if it is one that may.
    ///
    /// @return whether it is; otherwise nothing has been done
    boolean add(Primitive op, List<View> in, View out) {
        Kind kind = kind(op);
        if (!isOn || kind == null || !isSuitable(kind, in, out)) return false;
        if (out.size() == 0) return true;
        List<Storage> done = new ArrayList<>();
        try {
            synchronized (this) {
                if (!tryAdd(kind, op, in, out)) {
                    runAll(done);
                    tryAdd(kind, op, in, out);
                }
            }
        } finally {
            done.forEach(Storage::release);                                      // outside: it takes the pool's lock
        }
        return true;
    }

    /// Does what waits. What fails goes on waiting, and is tried again when next something is asked of the device: its results are not to be taken for computed.
    void run() {
        if (!waits || Thread.holdsLock(this)) return;                            // the chain's own launch comes by here, too
        List<Storage> done = new ArrayList<>();
        try {
            synchronized (this) {
                runAll(done);
            }
        } finally {
            done.forEach(Storage::release);
        }
    }

    private static Kind kind(Primitive op) {
        return switch (op) {
            case Unary _ -> Kind.UNARY;
            case UnaryGrad _ -> Kind.UNARY_GRAD;
            case Binary _ -> Kind.BINARY;
            case Affine _ -> Kind.AFFINE;
            case Where _ -> Kind.WHERE;
            case Cast _ -> Kind.CAST;
            default -> null;
        };
    }

    private static boolean isSuitable(Kind kind, List<View> in, View out) {
        if (!Pair.isSingle(out.dtype()) || !out.isContiguous() || out.rank() > Launch.AXES) return false;
        if (kind == Kind.CAST && in.getFirst().dtype() == out.dtype()) return false;
        return in.stream().allMatch(v -> Pair.isSingle(v.dtype()));
    }

    /// Whether two views are of the same elements in the same order.
    private static boolean isSame(View a, View b) {
        if (a.storage() != b.storage() || a.offset() != b.offset() || a.dtype() != b.dtype() || a.size() != b.size()) return false;
        return a.isContiguous() && b.isContiguous() || a.shape().equals(b.shape()) && Arrays.equals(a.strides(), b.strides());
    }

    private boolean tryAdd(Kind kind, Primitive op, List<View> in, View out) {
        if (!values.isEmpty() && (values.size() - inputs == RESULTS || values.getLast().view.size() != out.size())) return false;
        int before = values.size(), inputsBefore = inputs;
        Value[] from = new Value[in.size()];
        boolean fits = isApart(out);
        for (int i = 0; i < from.length && fits; i++) {
            View v = in.get(i).expand(out.shape());
            from[i] = find(v);
            if (from[i] != null) continue;
            fits = inputs < INPUTS && isReadable(v);
            from[i] = new Value(Kind.LOAD, null, null, v);
            values.add(from[i]);
            inputs++;
        }
        values.add(new Value(kind, op, in, out, from));
        if (!fits || places() > VALUES) {
            values.subList(before, values.size()).clear();
            inputs = inputsBefore;
            return false;
        }
        for (View v : in) hold(v.storage());
        hold(out.storage());
        waits = true;
        return true;
    }

    private void hold(Storage storage) {
        if (held.add(storage)) storage.retain();
    }

    /// What these elements are by now, if they have been read or computed.
    private Value find(View v) {
        for (int i = values.size() - 1; i >= 0; i--) if (isSame(values.get(i).view, v)) return values.get(i);
        return null;
    }

    /// Whether no step writes where this is read, in another order.
    private boolean isReadable(View v) {
        return values.stream().noneMatch(other -> other.kind != Kind.LOAD && other.view.storage() == v.storage());
    }

    /// Whether no step reads or writes where this is written, in another order.
    private boolean isApart(View out) {
        return values.stream().noneMatch(other -> other.view.storage() == out.storage() && !isSame(other.view, out));
    }

    /// Finds the last use of each value, and which are written.
    private void review(boolean isLast) {
        for (Value v : values) {
            v.lastUse = -1;
            v.isWritten = false;
        }
        for (int i = values.size() - 1; i >= 0; i--) {
            Value v = values.get(i);
            v.isWritten = v.kind != Kind.LOAD && (!isLast || v.view.storage().holders() > 1);
            if (v.isNeeded()) for (Value source : v.from) source.lastUse = Math.max(source.lastUse, i);
        }
    }

    /// Gives each value a place among those that a thread holds, which is another's when that is needed no more.
    ///
    /// @return how many there must be
    private int assign() {
        boolean[] taken = new boolean[values.size()];
        int most = 0;
        for (int i = 0; i < values.size(); i++) {
            Value v = values.get(i);
            if (!v.isNeeded()) continue;
            for (Value source : v.from) if (source.lastUse == i) taken[source.place] = false;
            v.place = 0;
            while (taken[v.place]) v.place++;
            taken[v.place] = v.lastUse >= 0;
            most = Math.max(most, v.place + 1);
        }
        return most;
    }

    private int places() {
        if (values.size() <= VALUES) return values.size();
        review(false);
        return assign();
    }

    /// @param done gets the memory that is to be let go of
    private void runAll(List<Storage> done) {
        review(true);
        List<Value> needed = values.stream().filter(Value::isNeeded).toList();
        List<Value> steps = needed.stream().filter(v -> v.kind != Kind.LOAD).toList();
        if (steps.size() == 1) CudaBackend.launch(steps.getFirst().op, steps.getFirst().in, steps.getFirst().view);
        else if (steps.size() > 1) launch(needed);
        done.addAll(held);
        values.clear();
        held.clear();
        inputs = 0;
        waits = false;
    }

    private void launch(List<Value> needed) {
        assign();
        Launch launch = CHAIN.on(device);
        MemorySegment to = launch.struct(CHAIN.parameter(0));
        to.set(JAVA_LONG, 0, needed.size());
        int input = 0, result = 0;
        for (int i = 0; i < needed.size(); i++) {
            Value v = needed.get(i);
            write(to.asSlice(8 + (long) i * STEP, STEP), v, input, v.isWritten ? result + 1 : 0);
            if (v.kind == Kind.LOAD)
                Launch.write(to.asSlice(INPUTS_AT + (long) input++ * Parameter.OPERAND.size(), Parameter.OPERAND.size()), v.view);
            if (v.isWritten) to.set(JAVA_LONG, RESULTS_AT + 8L * result++, Launch.address(v.view));
        }
        long n = needed.getLast().view.size();
        launch.i64(n).over(Math.ceilDiv(n, EACH));
    }

    private static void write(MemorySegment to, Value v, int input, int result) {
        to.fill((byte) 0);
        DType type = v.kind == Kind.LOAD ? DType.F32 : v.view.dtype();
        int[] bytes = {v.kind.ordinal(), function(v.op), v.place, v.kind == Kind.LOAD ? input : 0, 0, 0, type.ordinal(), result};
        for (int i = 0; i < v.from.length; i++) bytes[3 + i] = v.from[i].place;
        for (int i = 0; i < bytes.length; i++) to.set(JAVA_BYTE, i, (byte) bytes[i]);
        if (v.op instanceof Affine(double scale, double shift)) {
            to.set(JAVA_FLOAT, 8, (float) scale);
            to.set(JAVA_FLOAT, 12, (float) shift);
        }
    }

    private static int function(Primitive op) {
        return switch (op) {
            case Unary f -> f.ordinal();
            case UnaryGrad(Unary f) -> f.ordinal();
            case Binary f -> f.ordinal();
            case null, default -> 0;
        };
    }
}
