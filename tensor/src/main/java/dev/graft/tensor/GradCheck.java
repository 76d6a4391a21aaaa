package dev.graft.tensor;

import dev.graft.tensor.op.Op;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.Function;

/// Compares gradients with central differences, element by element, in double precision on the reference backend.
///
/// ```
/// L(x) = Σ r ⊙ f(x), r random        |dL/dxᵢ − (L(xᵢ + h) − L(xᵢ − h)) / 2h| ≤ tolerance · max(1, |dL/dxᵢ|)
/// ```
public final class GradCheck {
    private static final double STEP = 1e-5;
    private static final double TOLERANCE = 1e-7;

    private GradCheck() {
    }

    /// Checks an op with respect to all its floating inputs; throws [AssertionError] with op, input, element, got and expected. Returns the largest
    /// error seen, relative to `max(1, |gradient|)`.
    public static double check(Op op, Tensor... inputs) {
        return check(op.label(), in -> op.apply(in.toArray(Tensor[]::new)), inputs);
    }

    /// The same for any function of tensors.
    public static double check(String name, Function<List<Tensor>, Tensor> f, Tensor... inputs) {
        try (var _ = Scope.open(Backends.named("reference"))) {
            List<Tensor> in = new ArrayList<>();
            for (Tensor t : inputs) in.add(wide(t));
            double worst = 0;
            double[][] gradients = gradients(f, in);
            for (int i = 0; i < in.size(); i++) {
                if (gradients[i] == null) continue;
                double[] values = in.get(i).toDoubles();
                for (int e = 0; e < values.length; e++) {
                    double expected = (shifted(f, in, i, values, e, STEP) - shifted(f, in, i, values, e, -STEP)) / (2 * STEP);
                    double error = Math.abs(gradients[i][e] - expected) / Math.max(1, Math.abs(expected));
                    if (!(error <= TOLERANCE)) {
                        throw new AssertionError(
                                "[%s] gradient of input %d, element %d of %s: got %.12g, central difference %.12g".formatted(name, i, e,
                                        in.get(i).spec(), gradients[i][e], expected));
                    }
                    worst = Math.max(worst, error);
                }
            }
            return worst;
        }
    }

    private static Tensor wide(Tensor t) {
        Tensor here = t.to(Backends.named("reference"));
        return here.dtype().isFloating() ? here.to(DType.F64) : here;
    }

    private static double[][] gradients(Function<List<Tensor>, Tensor> f, List<Tensor> in) {
        try (Tape tape = Tape.open(); Grads grads = Grads.open()) {
            List<Tensor> watched = new ArrayList<>();
            for (Tensor t : in) watched.add(t.dtype().isFloating() ? tape.watch(t) : t);
            tape.backward(loss(f, watched), grads);
            double[][] out = new double[in.size()][];
            for (int i = 0; i < out.length; i++) {
                Tensor g = grads.find(watched.get(i));
                if (in.get(i).dtype().isFloating())
                    out[i] = g == null ? new double[Math.toIntExact(in.get(i).shape().size())] : g.toDoubles();
            }
            return out;
        }
    }

    private static double shifted(Function<List<Tensor>, Tensor> f, List<Tensor> in, int input, double[] values, int element, double by) {
        try (var _ = Scope.untracked()) {
            double[] moved = Arrays.copyOf(values, values.length);
            moved[element] += by;
            List<Tensor> inputs = new ArrayList<>(in);
            inputs.set(input, Tensor.of(moved, in.get(input).shape().dims()).reshape(in.get(input).shape()));
            return loss(f, inputs).item();
        }
    }

    private static Tensor loss(Function<List<Tensor>, Tensor> f, List<Tensor> in) {
        Tensor y = f.apply(in);
        return y.mul(Tensor.randn(y.dtype(), y.shape(), 7)).sum();
    }
}
