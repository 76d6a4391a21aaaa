package dev.graft.tensor.op;

import dev.graft.tensor.Call;
import dev.graft.tensor.Gradients;
import dev.graft.tensor.Keep;
import dev.graft.tensor.ShapeException;
import dev.graft.tensor.Spec;
import dev.graft.tensor.Tensor;
import dev.graft.tensor.Wanted;
import java.util.List;
import java.util.Locale;
import java.util.function.DoubleBinaryOperator;
import java.util.function.DoubleUnaryOperator;

/// Functions of one number, applied to every element: the value, and the derivative as a function of `x` and the value `y`.
public enum Unary implements Primitive {
    ABS(Math::abs, (x, _) -> Math.signum(x)),
    SIGN(Math::signum, (_, _) -> 0),
    SQUARE(x -> x * x, (x, _) -> 2 * x),
    SQRT(Math::sqrt, (_, y) -> 0.5 / y),
    RSQRT(x -> 1 / Math.sqrt(x), (_, y) -> -0.5 * y * y * y),
    RECIP(x -> 1 / x, (_, y) -> -y * y),
    EXP(Math::exp, (_, y) -> y),
    LOG(Math::log, (x, _) -> 1 / x),
    SIN(Math::sin, (x, _) -> Math.cos(x)),
    COS(Math::cos, (x, _) -> -Math.sin(x)),
    TANH(Math::tanh, (_, y) -> 1 - y * y),
    SIGMOID(Unary::sigma, (_, y) -> y * (1 - y)),
    RELU(x -> x > 0 ? x : 0 * x, (x, _) -> x > 0 ? 1 : 0),
    /// `x · σ(x)`, also called swish (Elfwing et al. 2017, arXiv:1702.03118).
    SILU(x -> x * sigma(x), (x, y) -> sigma(x) + y * (1 - sigma(x))),
    /// `x · Φ(x)` with the normal distribution function (Hendrycks & Gimpel 2016, arXiv:1606.08415).
    GELU(x -> x * Erf.phi(x), (x, _) -> Erf.phi(x) + x * Math.exp(-x * x / 2) / Math.sqrt(2 * Math.PI)),
    /// `x/2 · (1 + tanh(√(2/π)·(x + 0.044715 x³)))`, GPT-2's `gelu_new`.
    GELU_TANH(x -> x / 2 * (1 + Math.tanh(inner(x))), (x, _) -> {
        double t = Math.tanh(inner(x));
        return (1 + t) / 2 + x / 2 * (1 - t * t) * Math.sqrt(2 / Math.PI) * (1 + 3 * 0.044715 * x * x);
    }),
    /// `ln(1 + eˣ)`.
    SOFTPLUS(x -> x > 0 ? x + Math.log1p(Math.exp(-x)) : Math.log1p(Math.exp(x)), (x, _) -> sigma(x)),
    ERF(Erf::erf, (x, _) -> 2 / Math.sqrt(Math.PI) * Math.exp(-x * x));

    private final DoubleUnaryOperator value;
    private final DoubleBinaryOperator derivative;

    Unary(DoubleUnaryOperator value, DoubleBinaryOperator derivative) {
        this.value = value;
        this.derivative = derivative;
    }

    public double value(double x) {
        return value.applyAsDouble(x);
    }

    /// The derivative at `x`, given the value `y` there.
    public double derivative(double x, double y) {
        return derivative.applyAsDouble(x, y);
    }

    @Override
    public String toString() {
        return name().toLowerCase(Locale.ROOT);
    }

    @Override
    public List<Spec> infer(List<Spec> in) {
        if (!in.getFirst().dtype().isFloating()) throw new ShapeException(this + " needs a floating type, got " + in.getFirst());
        return List.of(in.getFirst());
    }

    @Override
    public Keep keep(Wanted wanted) {
        return Keep.inputs(0);
    }

    @Override
    public void vjp(Call call, Tensor dy, Gradients g) {
        g.of(0, () -> new UnaryGrad(this).apply(call.in(0), dy));
    }

    private static double sigma(double x) {
        return 1 / (1 + Math.exp(-x));
    }

    private static double inner(double x) {
        return Math.sqrt(2 / Math.PI) * (x + 0.044715 * x * x * x);
    }
}
