package dev.graft.tensor;

import dev.graft.tensor.backend.Backend;
import dev.graft.tensor.backend.HostMemory;
import dev.graft.tensor.backend.Storage;
import dev.graft.tensor.backend.View;
import dev.graft.tensor.op.Affine;
import dev.graft.tensor.op.Binary;
import dev.graft.tensor.op.Cast;
import dev.graft.tensor.op.Cat;
import dev.graft.tensor.op.Copy;
import dev.graft.tensor.op.Cumsum;
import dev.graft.tensor.op.Expand;
import dev.graft.tensor.op.Fill;
import dev.graft.tensor.op.Gather;
import dev.graft.tensor.op.LogSoftmax;
import dev.graft.tensor.op.MatMul;
import dev.graft.tensor.op.Permute;
import dev.graft.tensor.op.Random;
import dev.graft.tensor.op.Range;
import dev.graft.tensor.op.Reduce;
import dev.graft.tensor.op.Reshape;
import dev.graft.tensor.op.Slice;
import dev.graft.tensor.op.Softmax;
import dev.graft.tensor.op.Unary;
import dev.graft.tensor.op.Where;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;

/// A handle on memory plus a shape. Values never change under a tensor, except by an optimizer or [#assign].
///
/// A tensor belongs to the [Scope] it was made in and is gone when that closes; using it afterwards is an exception that names the op which made
/// it. Arithmetic broadcasts like NumPy. Axes count from 0, or from the end with -1.
public final class Tensor {
    private final View view;
    private final Backend backend;
    private final String origin;
    private Scope owner;
    private Node node;
    private boolean closed;

    private Tensor(View view, Backend backend, String origin, Scope owner) {
        this.view = view;
        this.backend = backend;
        this.origin = origin;
        this.owner = owner;
        owner.own(this);
    }

    // ---- making ----

    static Tensor allocate(Spec spec, Backend backend, String origin) {
        Scope scope = Scope.current(origin);
        return new Tensor(View.of(backend.allocate(spec.bytes(), origin), spec), backend, origin, scope);
    }

    /// Another handle on memory that somebody holds already.
    static Tensor alias(View view, Backend backend, String origin) {
        Scope scope = Scope.current(origin);
        view.storage().retain();
        return new Tensor(view, backend, origin, scope);
    }

    /// A tensor on host memory that someone else owns (a mapped file), used in place where the backend can and copied where not. The memory must
    /// stay until this tensor's scope has closed.
    public static Tensor wrap(MemorySegment host, Spec spec) {
        Scope scope = Scope.current("wrap");
        if (host.byteSize() != spec.bytes())
            throw new ShapeException("%s needs %d bytes, got %d".formatted(spec, spec.bytes(), host.byteSize()));
        Storage lent = scope.backend().wrap(host).orElse(null);
        return lent == null ? of(host, spec) : new Tensor(View.of(lent, spec), scope.backend(), "wrap", scope);
    }

    /// A tensor with these row-major bytes.
    public static Tensor of(MemorySegment host, Spec spec) {
        if (host.byteSize() != spec.bytes())
            throw new ShapeException("%s needs %d bytes, got %d".formatted(spec, spec.bytes(), host.byteSize()));
        Tensor t = allocate(spec, Scope.current("of").backend(), "of");
        t.backend.copyIn(host, t.view);
        return t;
    }

    /// An F32 tensor of this shape, values row-major; with no sizes given, a vector.
    public static Tensor of(float[] values, int... dims) {
        return of(MemorySegment.ofArray(values), Spec.of(DType.F32, dims.length == 0 ? new int[] {values.length} : dims));
    }

    /// An F64 tensor of this shape, values row-major; with no sizes given, a vector.
    public static Tensor of(double[] values, int... dims) {
        return of(MemorySegment.ofArray(values), Spec.of(DType.F64, dims.length == 0 ? new int[] {values.length} : dims));
    }

    /// An I32 tensor of this shape, values row-major; with no sizes given, a vector.
    public static Tensor of(int[] values, int... dims) {
        return of(MemorySegment.ofArray(values), Spec.of(DType.I32, dims.length == 0 ? new int[] {values.length} : dims));
    }

    /// An I64 tensor of this shape, values row-major; with no sizes given, a vector.
    public static Tensor of(long[] values, int... dims) {
        return of(MemorySegment.ofArray(values), Spec.of(DType.I64, dims.length == 0 ? new int[] {values.length} : dims));
    }

    public static Tensor scalar(DType dtype, double value) {
        return full(new Spec(Shape.SCALAR, dtype), value);
    }

    public static Tensor full(Spec spec, double value) {
        return new Fill(spec, value).apply();
    }

    public static Tensor zeros(Spec spec) {
        return full(spec, 0);
    }

    public static Tensor zeros(DType dtype, int... dims) {
        return zeros(Spec.of(dtype, dims));
    }

    public static Tensor ones(Spec spec) {
        return full(spec, 1);
    }

    /// 0, 1, …, n − 1.
    public static Tensor range(DType dtype, int n) {
        return new Range(dtype, n, 0, 1).apply();
    }

    /// Standard normal values; the same seed gives the same values on every backend.
    public static Tensor randn(DType dtype, Shape shape, long seed) {
        return new Random(new Spec(shape, dtype), Random.Law.NORMAL, seed).apply();
    }

    /// Values uniform in [0, 1); the same seed gives the same values on every backend.
    public static Tensor uniform(DType dtype, Shape shape, long seed) {
        return new Random(new Spec(shape, dtype), Random.Law.UNIFORM, seed).apply();
    }

    // ---- looking ----

    public Spec spec() {
        return view.spec();
    }

    public Shape shape() {
        return view.shape();
    }

    public DType dtype() {
        return view.dtype();
    }

    public int rank() {
        return view.rank();
    }

    public int dim(int axis) {
        return view.dim(axis);
    }

    public Backend backend() {
        return backend;
    }

    /// Where the elements lie.
    public View view() {
        requireOpen("view");
        return view;
    }

    public boolean isClosed() {
        return closed;
    }

    /// The value of a tensor with one element.
    public double item() {
        if (shape().size() != 1) throw new ShapeException("item() needs one element, got " + spec());
        return toDoubles()[0];
    }

    /// The values, row-major, rounded to float where the type is wider.
    public float[] toFloats() {
        float[] out = new float[Math.toIntExact(shape().size())];
        host(DType.F32, MemorySegment.ofArray(out));
        return out;
    }

    public double[] toDoubles() {
        double[] out = new double[Math.toIntExact(shape().size())];
        host(DType.F64, MemorySegment.ofArray(out));
        return out;
    }

    public int[] toInts() {
        int[] out = new int[Math.toIntExact(shape().size())];
        host(DType.I32, MemorySegment.ofArray(out));
        return out;
    }

    private void host(DType as, MemorySegment to) {
        requireOpen("read");
        try (var _ = Scope.currentOrNull() == null ? Scope.open(backend) : Scope.untracked()) {
            backend.copyOut(to(as).contiguous().view, to);
        }
    }

    /// The elements' bytes, row-major, in this tensor's own type.
    public void copyTo(MemorySegment host) {
        requireOpen("read");
        try (var _ = Scope.currentOrNull() == null ? Scope.open(backend) : Scope.untracked()) {
            backend.copyOut(contiguous().view, host);
        }
    }

    // ---- arithmetic ----

    public Tensor add(Tensor o) {
        return Binary.ADD.apply(this, o);
    }

    public Tensor sub(Tensor o) {
        return Binary.SUB.apply(this, o);
    }

    public Tensor mul(Tensor o) {
        return Binary.MUL.apply(this, o);
    }

    public Tensor div(Tensor o) {
        return Binary.DIV.apply(this, o);
    }

    public Tensor max(Tensor o) {
        return Binary.MAX.apply(this, o);
    }

    public Tensor min(Tensor o) {
        return Binary.MIN.apply(this, o);
    }

    /// 1 where this is less than the other, else 0.
    public Tensor lt(Tensor o) {
        return Binary.LT.apply(this, o);
    }

    /// 1 where this is at most the other, else 0.
    public Tensor le(Tensor o) {
        return Binary.LE.apply(this, o);
    }

    /// 1 where both are equal, else 0.
    public Tensor eq(Tensor o) {
        return Binary.EQ.apply(this, o);
    }

    public Tensor add(double c) {
        return new Affine(1, c).apply(this);
    }

    public Tensor sub(double c) {
        return add(-c);
    }

    public Tensor mul(double c) {
        return new Affine(c, 0).apply(this);
    }

    public Tensor div(double c) {
        return mul(1 / c);
    }

    public Tensor neg() {
        return mul(-1);
    }

    public Tensor exp() {
        return Unary.EXP.apply(this);
    }

    public Tensor log() {
        return Unary.LOG.apply(this);
    }

    public Tensor sqrt() {
        return Unary.SQRT.apply(this);
    }

    public Tensor rsqrt() {
        return Unary.RSQRT.apply(this);
    }

    public Tensor recip() {
        return Unary.RECIP.apply(this);
    }

    public Tensor square() {
        return Unary.SQUARE.apply(this);
    }

    public Tensor abs() {
        return Unary.ABS.apply(this);
    }

    public Tensor sin() {
        return Unary.SIN.apply(this);
    }

    public Tensor cos() {
        return Unary.COS.apply(this);
    }

    public Tensor tanh() {
        return Unary.TANH.apply(this);
    }

    public Tensor sigmoid() {
        return Unary.SIGMOID.apply(this);
    }

    public Tensor relu() {
        return Unary.RELU.apply(this);
    }

    public Tensor silu() {
        return Unary.SILU.apply(this);
    }

    /// GELU by the error function.
    public Tensor gelu() {
        return Unary.GELU.apply(this);
    }

    /// GELU by its tanh approximation.
    public Tensor geluTanh() {
        return Unary.GELU_TANH.apply(this);
    }

    public Tensor softplus() {
        return Unary.SOFTPLUS.apply(this);
    }

    // ---- reductions ----

    /// Sum over the given axes, which stay as size 1; over everything, to a scalar, when none is given.
    public Tensor sum(int... axes) {
        return Reduce.over(Reduce.Law.SUM, this, axes);
    }

    public Tensor mean(int... axes) {
        Tensor sum = sum(axes);
        return sum.mul((double) sum.shape().size() / shape().size());
    }

    public Tensor max(int... axes) {
        return Reduce.over(Reduce.Law.MAX, this, axes);
    }

    /// Position (I32) of the largest element along an axis, the first one on ties; the axis stays as size 1.
    public Tensor argmax(int axis) {
        return new Reduce(Reduce.Law.ARGMAX, shape().axis(axis)).apply(this);
    }

    public Tensor softmax() {
        return new Softmax().apply(this);
    }

    public Tensor logSoftmax() {
        return new LogSoftmax().apply(this);
    }

    /// Sums along the last axis, of all up to each element.
    public Tensor cumsum() {
        return new Cumsum(false).apply(this);
    }

    // ---- products ----

    /// `this · o`: `[…, M, K] × […, K, N] → […, M, N]`.
    public Tensor matmul(Tensor o) {
        return new MatMul(false, false).apply(this, o);
    }

    /// `this · oᵀ`: `[…, M, K] × […, N, K] → […, M, N]`.
    public Tensor matmulT(Tensor o) {
        return new MatMul(false, true).apply(this, o);
    }

    /// `thisᵀ · o`: `[…, K, M] × […, K, N] → […, M, N]`.
    public Tensor tMatmul(Tensor o) {
        return new MatMul(true, false).apply(this, o);
    }

    // ---- shape ----

    /// The same elements in another shape; one size may be -1 and is worked out.
    public Tensor reshape(int... dims) {
        return Reshape.of(this, dims);
    }

    public Tensor reshape(Shape shape) {
        return Reshape.of(this, shape.dims());
    }

    public Tensor permute(int... axes) {
        return Permute.of(this, axes);
    }

    public Tensor transpose(int a, int b) {
        int[] axes = new int[rank()];
        Arrays.setAll(axes, i -> i);
        int x = shape().axis(a);
        int y = shape().axis(b);
        axes[x] = y;
        axes[y] = x;
        return permute(axes);
    }

    /// Elements `from` to `to` (exclusive) of an axis.
    public Tensor slice(int axis, int from, int to) {
        return new Slice(shape().axis(axis), from, to).apply(this);
    }

    /// Stretched: axes of size 1, and missing leading ones, repeat without being copied.
    public Tensor expand(int... dims) {
        return new Expand(Shape.of(dims)).apply(this);
    }

    public Tensor expand(Shape shape) {
        return new Expand(shape).apply(this);
    }

    /// A new axis of size 1.
    public Tensor unsqueeze(int axis) {
        int a = axis < 0 ? axis + rank() + 1 : axis;
        return reshape(shape().range(0, a).concat(Shape.of(1)).concat(shape().range(a, rank())));
    }

    /// Without an axis of size 1.
    public Tensor squeeze(int axis) {
        if (dim(axis) != 1)
            throw new ShapeException("squeeze needs an axis of size 1, axis " + axis + " of " + spec() + " has " + dim(axis));
        return reshape(shape().without(axis));
    }

    public static Tensor cat(int axis, Tensor... parts) {
        return new Cat(axis).apply(parts);
    }

    /// Rows of this table by index: `[V, …] × I32 or I64 [n…] → [n…, …]`.
    public Tensor gather(Tensor indices) {
        return new Gather().apply(this, indices);
    }

    /// `condition ? this : other`, element by element; the condition holds where it is not 0.
    public Tensor where(Tensor condition, Tensor other) {
        return new Where().apply(condition, this, other);
    }

    // ---- kind and place ----

    public Tensor to(DType dtype) {
        return dtype == dtype() ? this : new Cast(dtype).apply(this);
    }

    /// On another backend; itself when it is there already. Not differentiated.
    public Tensor to(Backend other) {
        requireOpen("to");
        if (other == backend) return this;
        Storage staging = HostMemory.shared().allocate(spec().bytes());
        try {
            MemorySegment host = staging.segment().asSlice(0, spec().bytes());
            copyTo(host);
            Tensor t = allocate(spec(), other, "to");
            other.copyIn(host, t.view);
            return t;
        } finally {
            staging.release();
        }
    }

    /// Itself when the elements lie row-major without gaps, else a copy that does.
    public Tensor contiguous() {
        requireOpen("contiguous");
        return view.isContiguous() ? this : new Copy().apply(this);
    }

    /// A copy in memory of its own.
    public Tensor copy() {
        return new Copy().apply(this);
    }

    /// The same values as a constant: nothing flows back through it.
    public Tensor detach() {
        requireOpen("detach");
        return alias(view, backend, "detach");
    }

    /// Overwrites the values, in place. For parameters, optimizer state and caches; a tape that needs the old values will say so.
    public void assign(Tensor source) {
        try (var _ = Scope.untracked()) {
            Engine.update(new Copy(), this, source.to(dtype()).expand(shape()));
        }
    }

    /// Makes this tensor an end of backward passes, or a constant again (null). For parameters; elsewhere use [Tape#watch].
    public void leaf(Leaf leaf) {
        node = leaf;
    }

    // ---- for the engine ----

    Tensor node(Node node) {
        this.node = node;
        return this;
    }

    Node node() {
        return node;
    }

    Scope owner() {
        return owner;
    }

    void owner(Scope owner) {
        this.owner = owner;
    }

    void requireOpen(String op) {
        if (closed) {
            throw new TensorException("[%s] a tensor made by [%s], %s, is used after its scope closed; move it out with scope.keep(tensor)"
                    .formatted(op, origin, spec()));
        }
    }

    /// Lets go of the memory now, before the owning scope does.
    public void close() {
        if (closed) return;
        closed = true;
        view.storage().release();
    }

    /// A small tensor prints its values, a large one its kind.
    @Override
    public String toString() {
        if (closed) return spec() + " (closed)";
        return shape().size() > 32 ? spec().toString() : spec() + " " + Arrays.toString(toDoubles());
    }
}
