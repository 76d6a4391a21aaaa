package dev.graft.tensor.op;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.fail;

import dev.graft.tensor.Backends;
import dev.graft.tensor.DType;
import dev.graft.tensor.Grads;
import dev.graft.tensor.Scope;
import dev.graft.tensor.Shape;
import dev.graft.tensor.Spec;
import dev.graft.tensor.Tape;
import dev.graft.tensor.Tensor;
import dev.graft.tensor.backend.Backend;
import dev.graft.tensor.backend.View;
import dev.graft.tensor.op.OpCases.Case;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;

/// What every backend owes every op, judged by the definition in double precision on the reference backend.
///
/// The inputs are rounded to the type under test first, so that only the computing is judged. With `graft.poison=true` outputs begin as NaN, and the bytes
/// behind them must stay as they were: an element left unwritten shows, and one written too far.
public class OpContract {
    private static final Backend REFERENCE = Backends.named("reference");

    private interface Check {
        void run(Backend backend, Case c);
    }

    @TestFactory
    Stream<DynamicTest> valueAgreesWithTheDefinition() {
        return each(OpCases.everything(), (backend, c) -> {
            List<double[]> want = reference(c, DType.F32);
            try (var _ = Scope.open(backend)) {
                List<Tensor> in = c.inputs(DType.F32);
                compare("value", c, in, DType.F32, want, doubles(c.op().applyAll(in.toArray(Tensor[]::new))));
            }
        });
    }

    @TestFactory
    Stream<DynamicTest> gradientAgreesWithTheDefinition() {
        return each(OpCases.everything(), (backend, c) -> {
            List<double[]> want;
            try (var _ = Scope.open(REFERENCE)) {
                List<Tensor> in = rounded(c, DType.F32);
                want = gradients(c, in, wanted(c, in));
            }
            try (var _ = Scope.open(backend)) {
                List<Tensor> in = c.inputs(DType.F32);
                compare("gradient", c, in, DType.F32, want, gradients(c, in, wanted(c, in)));
            }
        });
    }

    /// Gradients are ops too, with kernels of their own.
    @TestFactory
    Stream<DynamicTest> backwardOpsAgreeWithTheirDefinition() {
        return each(OpCases.backward(), (backend, c) -> {
            List<double[]> want = reference(c, DType.F32);
            try (var _ = Scope.open(backend)) {
                List<Tensor> in = c.inputs(DType.F32);
                List<Tensor> out = c.op().applyAll(in.toArray(Tensor[]::new));
                compare("value", c, in, DType.F32, want, doubles(out));
                compare("of transposed views", c, in, DType.F32, want,
                        doubles(c.op().applyAll(in.stream().map(OpContract::turned).toArray(Tensor[]::new))));
                out.forEach(OpContract::requireGuards);
            }
        });
    }

    /// Each input as a transposed, and as a sliced, view. (Reshape alone, as a view, asks for contiguous ones.)
    @TestFactory
    Stream<DynamicTest> stridesDoNotMatter() {
        return each(OpCases.all().stream().filter(c -> !(c.op() instanceof Reshape)).toList(), (backend, c) -> {
            List<double[]> want = reference(c, DType.F32);
            try (var _ = Scope.open(backend)) {
                List<Tensor> in = c.inputs(DType.F32);
                compare("of transposed views", c, in, DType.F32, want,
                        doubles(c.op().applyAll(in.stream().map(OpContract::turned).toArray(Tensor[]::new))));
                compare("of slices", c, in, DType.F32, want,
                        doubles(c.op().applyAll(in.stream().map(OpContract::sliced).toArray(Tensor[]::new))));
            }
        });
    }

    @TestFactory
    Stream<DynamicTest> nothingIsWrittenBehindAnOutput() {
        return each(OpCases.everything(), (backend, c) -> {
            if (c.op() instanceof ViewOp) return;
            try (var _ = Scope.open(backend)) {
                c.op().applyAll(c.inputs(DType.F32).toArray(Tensor[]::new)).forEach(OpContract::requireGuards);
            }
        });
    }

    @TestFactory
    Stream<DynamicTest> secondRunGivesTheSameBits() {
        return each(OpCases.everything(), (backend, c) -> {
            try (var _ = Scope.open(backend)) {
                List<Tensor> in = c.inputs(DType.F32);
                same(doubles(c.op().applyAll(in.toArray(Tensor[]::new))), doubles(c.op().applyAll(in.toArray(Tensor[]::new))));
                same(gradients(c, in, wanted(c, in)), gradients(c, in, wanted(c, in)));
            }
        });
    }

    /// What is frozen has no gradient, and what is not has the same as when all are trained.
    @TestFactory
    Stream<DynamicTest> frozenInputsChangeNothing() {
        return each(OpCases.all(), (backend, c) -> {
            try (var _ = Scope.open(backend)) {
                List<Tensor> in = c.inputs(DType.F32);
                List<double[]> all = gradients(c, in, wanted(c, in));
                int i = 0;
                for (int input : wanted(c, in)) same(List.of(all.get(i++)), gradients(c, in, input));
            }
        });
    }

    /// F64 is for checking other things: it must be that exact on every backend.
    @TestFactory
    Stream<DynamicTest> doublePrecisionAgreesWithTheDefinition() {
        return each(OpCases.all(), (backend, c) -> {
            List<double[]> want = reference(c, DType.F64), gradient;
            try (var _ = Scope.open(REFERENCE)) {
                List<Tensor> in = c.inputs(DType.F64);
                gradient = gradients(c, in, wanted(c, in));
            }
            try (var _ = Scope.open(backend)) {
                List<Tensor> in = c.inputs(DType.F64);
                compare("value", c, in, DType.F64, want, doubles(c.op().applyAll(in.toArray(Tensor[]::new))));
                compare("gradient", c, in, DType.F64, gradient, gradients(c, in, wanted(c, in)));
            }
        });
    }

    /// What makes tensors from nothing gives the same everywhere, to the bit.
    @TestFactory
    Stream<DynamicTest> sourcesGiveTheSameBitsOnEveryBackend() {
        List<Case> sources = new ArrayList<>();
        for (int n : new int[] {0, 1, 15, 17, 10_007}) {
            for (DType dtype : DType.values()) {
                sources.add(OpCases.of(new Range(dtype, n, -3, 2)));
                for (double value : new double[] {0, -0.0, 1.7, 1e9, Double.NaN})
                    sources.add(OpCases.of(new Fill(Spec.of(dtype, n), value)));
                if (!dtype.isFloating()) continue;
                for (Random.Law law : Random.Law.values()) {
                    for (long start : new long[] {0, 1L << 40}) sources.add(OpCases.of(new Random(Spec.of(dtype, n), law, 42, start)));
                }
            }
        }
        for (long start : new long[] {0, 1L << 40})
            sources.add(OpCases.of(new Random(Spec.of(DType.F32, 300_007), Random.Law.NORMAL, 42, start)));
        return each(sources, (backend, c) -> {
            double[] want;
            try (var _ = Scope.open(REFERENCE)) {
                want = c.op().apply().toDoubles();
            }
            try (var _ = Scope.open(backend)) {
                Tensor got = c.op().apply();
                assertArrayEquals(want, got.toDoubles());
                requireGuards(got);
            }
        });
    }

    /// 16-bit types store; each backend may be at most twice as far off as the definition computed in that type.
    @TestFactory
    Stream<DynamicTest> halfPrecisionIsAsGoodAsItsDefinition() {
        return each(OpCases.all().stream().filter(c -> !(c.op() instanceof Attention)).toList(), (backend, c) -> {
            for (DType dtype : List.of(DType.BF16, DType.F16)) {
                List<double[]> want = reference(c, dtype);
                List<double[]> definition;
                try (var _ = Scope.open(REFERENCE)) {
                    definition = doubles(c.op().applyAll(c.inputs(dtype).toArray(Tensor[]::new)));
                }
                List<double[]> got;
                try (var _ = Scope.open(backend)) {
                    got = doubles(c.op().applyAll(c.inputs(dtype).toArray(Tensor[]::new)));
                }
                for (int o = 0; o < want.size(); o++) {
                    double allowed = Tolerance.half(dtype, error(want.get(o), definition.get(o)), want.get(o));
                    double error = error(want.get(o), got.get(o));
                    if (!(error <= allowed)) fail("%s output %d is off by %.3g, %.3g allowed".formatted(dtype, o, error, allowed));
                }
            }
        });
    }

    /// The bytes from the end of a tensor to the end of its block are as the pool poisoned them.
    private static void requireGuards(Tensor t) {
        if (!Boolean.getBoolean("graft.poison")) fail("run with -Dgraft.poison=true");
        int behind = Math.toIntExact(t.view().storage().bytes() - t.spec().bytes());
        byte[] guards = new byte[behind];
        t.backend().copyOut(new View(t.view().storage(), DType.I8, Shape.of(behind), new long[] {1}, t.spec().bytes()),
                MemorySegment.ofArray(guards));
        for (byte b : guards) assertEquals((byte) 0xFF, b, "a guard byte behind " + t.spec());
    }

    /// Those that are judged.
    protected Stream<Backend> backends() {
        return Backends.all().stream().filter(b -> b != REFERENCE && b.isAvailable());
    }

    private Stream<DynamicTest> each(List<Case> cases, Check check) {
        return backends()
                .flatMap(b -> cases.stream().map(c -> DynamicTest.dynamicTest(b.name() + " " + c, () -> check.run(b, c))));
    }

    /// All outputs by the definition in double precision.
    private static List<double[]> reference(Case c, DType dtype) {
        try (var _ = Scope.open(REFERENCE)) {
            return doubles(c.op().applyAll(rounded(c, dtype).toArray(Tensor[]::new)));
        }
    }

    /// The inputs in F64, their values representable in a narrower type.
    private static List<Tensor> rounded(Case c, DType dtype) {
        return c.inputs(dtype).stream().map(t -> t.dtype().isFloating() ? t.to(DType.F64) : t).toList();
    }

    /// The inputs that have gradients.
    private static int[] wanted(Case c, List<Tensor> in) {
        return IntStream.range(0, in.size()).filter(i -> in.get(i).dtype().isFloating() && !c.isConstant(i)).toArray();
    }

    /// Gradients of `Σ r ⊙ op(in)` with respect to these inputs.
    private static List<double[]> gradients(Case c, List<Tensor> in, int... inputs) {
        try (Tape tape = Tape.open(); Grads grads = Grads.open()) {
            List<Tensor> watched = new ArrayList<>(in);
            List<Tensor> leaves = new ArrayList<>();
            for (int i : inputs) {
                watched.set(i, tape.watch(in.get(i)));
                leaves.add(watched.get(i));
            }
            if (leaves.isEmpty()) return List.of();
            Tensor y = c.op().apply(watched.toArray(Tensor[]::new));
            if (!tape.tracks(y)) return List.of();
            tape.backward(y, Tensor.randn(DType.F32, y.shape(), 7).to(y.dtype()), grads);
            List<double[]> out = new ArrayList<>();
            for (Tensor leaf : leaves) {
                Tensor g = grads.find(leaf);
                out.add(g == null ? new double[0] : g.toDoubles());
            }
            return out;
        }
    }

    /// The same values, the axes lying in memory in reverse order.
    private static Tensor turned(Tensor t) {
        int[] reverse = IntStream.range(0, t.rank()).map(i -> t.rank() - 1 - i).toArray();
        return t.rank() < 2 ? t : t.permute(reverse).copy().permute(reverse);
    }

    /// The same values, in the middle of a larger block.
    private static Tensor sliced(Tensor t) {
        Tensor block = t;
        for (int axis = 0; axis < t.rank(); axis++) {
            Tensor more = Tensor.ones(block.spec().with(block.shape().with(axis, axis + 1)));
            block = Tensor.cat(axis, more, block, more);
        }
        for (int axis = 0; axis < t.rank(); axis++) block = block.slice(axis, axis + 1, axis + 1 + t.dim(axis));
        return block;
    }

    private static List<double[]> doubles(List<Tensor> tensors) {
        return tensors.stream().map(Tensor::toDoubles).toList();
    }

    private static void compare(String what, Case c, List<Tensor> in, DType dtype, List<double[]> want, List<double[]> got) {
        assertEquals(want.size(), got.size(), "number of results");
        for (int o = 0; o < want.size(); o++) {
            double allowed = Tolerance.of(dtype, in, want.get(o));
            for (int i = 0; i < want.get(o).length; i++) {
                double w = want.get(o)[i];
                double g = got.get(o)[i];
                if (!(w == g || Math.abs(w - g) <= allowed)) {
                    fail("%s %d, element %d: got %.9g, definition %.9g, %.3g allowed; %s".formatted(what, o, i, g, w, allowed, c));
                }
            }
        }
    }

    private static double error(double[] want, double[] got) {
        double worst = 0;
        for (int i = 0; i < want.length; i++) if (want[i] != got[i]) worst = Math.max(worst, Math.abs(want[i] - got[i]));
        return worst;
    }

    private static void same(List<double[]> a, List<double[]> b) {
        assertEquals(a.size(), b.size(), "number of results");
        for (int i = 0; i < a.size(); i++) assertArrayEquals(a.get(i), b.get(i));
    }
}
