package dev.graft.tensor.cpu;

import static dev.graft.tensor.cpu.Exp.ONE;

import dev.graft.tensor.op.Binary;
import dev.graft.tensor.op.Unary;
import java.util.EnumMap;
import java.util.Map;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;

/// The elementwise functions on vectors, and the loop of each, made when first asked for. What is absent here (logarithm, sine, cosine: rare in a
/// step) runs in the scalar loops.
final class Functions {
    private static final Map<Unary, VectorLoop.Unary> VALUES = new EnumMap<>(Unary.class);
    private static final Map<Unary, VectorLoop.Binary> GRADIENTS = new EnumMap<>(Unary.class);
    private static final Map<Binary, VectorLoop.Binary> BINARY = new EnumMap<>(Binary.class);
    private static final double ROOT_2_OVER_PI = Math.sqrt(2 / Math.PI);
    private static final FloatVector LINEAR = Exp.vector((float) (2 * ROOT_2_OVER_PI));
    private static final FloatVector CUBIC = Exp.vector((float) (2 * ROOT_2_OVER_PI * 0.044715));
    private static final FloatVector THREE_CUBIC = Exp.vector((float) (6 * ROOT_2_OVER_PI * 0.044715));
    private static final FloatVector DENSITY = Exp.vector((float) (ROOT_2_OVER_PI / 2));
    private static final FloatVector ERF_SLOPE = Exp.vector((float) (2 / Math.sqrt(Math.PI)));
    private static final FloatVector MINUS_HALF = Exp.vector(-0.5f);

    private Functions() {
    }

    /// `y = f(x)`, or null.
    static synchronized VectorLoop.Unary value(Unary f) {
        VectorLoop.UnaryFunction vector = vector(f);
        return vector == null ? null : VALUES.computeIfAbsent(f, _ -> VectorLoop.of(vector));
    }

    /// `dx = dy · f′(x)` of x and dy, or null.
    static synchronized VectorLoop.Binary gradient(Unary f) {
        VectorLoop.BinaryFunction vector = derivative(f);
        return vector == null ? null : GRADIENTS.computeIfAbsent(f, _ -> VectorLoop.of(vector));
    }

    static synchronized VectorLoop.Binary value(Binary f) {
        return BINARY.computeIfAbsent(f, _ -> VectorLoop.of(vector(f)));
    }

    private static VectorLoop.UnaryFunction vector(Unary f) {
        return switch (f) {
            case ABS -> FloatVector::abs;
            case SIGN -> Functions::sign;
            case SQUARE -> x -> x.mul(x);
            case SQRT -> FloatVector::sqrt;
            case RSQRT -> x -> ONE.div(x.sqrt());
            case RECIP -> x -> ONE.div(x);
            case EXP -> Exp::exp;
            case TANH -> Exp::tanh;
            case SIGMOID -> Exp::sigmoid;
            case RELU -> x -> x.mul(0).blend(x, x.compare(VectorOperators.GT, 0));
            case SILU -> x -> x.mul(Exp.sigmoid(x));
            case GELU -> x -> x.mul(ErrorFunction.phi(x, bell(x)));
            case GELU_TANH -> x -> x.mul(Exp.sigmoid(twiceInner(x)));          // (1 + tanh u) / 2 = σ(2u)
            case ERF -> ErrorFunction::erf;
            case LOG, SIN, COS, SOFTPLUS -> null;
        };
    }

    private static VectorLoop.BinaryFunction derivative(Unary f) {
        return switch (f) {
            case ABS -> (x, dy) -> dy.mul(sign(x));
            case SIGN -> (_, dy) -> dy.mul(0);
            case SQUARE -> (x, dy) -> dy.mul(x.add(x));
            case SQRT -> (x, dy) -> dy.mul(0.5f).div(x.sqrt());
            case RSQRT -> (x, dy) -> dy.mul(-0.5f).div(x.mul(x.sqrt()));
            case RECIP -> (x, dy) -> dy.neg().div(x.mul(x));
            case EXP -> (x, dy) -> dy.mul(Exp.exp(x));
            case LOG -> (x, dy) -> dy.div(x);
            case TANH -> (x, dy) -> {
                FloatVector y = Exp.tanh(x);
                return dy.mul(ONE.sub(y.mul(y)));
            };
            case SIGMOID -> (x, dy) -> {
                FloatVector y = Exp.sigmoid(x);
                return dy.mul(y.mul(ONE.sub(y)));
            };
            case RELU -> (x, dy) -> dy.mul(0).blend(dy, x.compare(VectorOperators.GT, 0));
            case SILU -> (x, dy) -> dy.mul(siluSlope(x, Exp.sigmoid(x)));
            case GELU -> (x, dy) -> {
                FloatVector e = bell(x);
                return dy.mul(x.mul(DENSITY).fma(e, ErrorFunction.phi(x, e)));
            };
            case GELU_TANH -> (x, dy) -> {
                FloatVector s = Exp.sigmoid(twiceInner(x));
                FloatVector slope = x.mul(x).fma(THREE_CUBIC, LINEAR);
                return dy.mul(x.mul(s).mul(ONE.sub(s)).mul(slope).add(s));
            };
            case SOFTPLUS -> (x, dy) -> dy.mul(Exp.sigmoid(x));
            case ERF -> (x, dy) -> dy.mul(ERF_SLOPE).mul(Exp.exp(x.mul(x).neg()));
            case SIN, COS -> null;
        };
    }

    private static VectorLoop.BinaryFunction vector(Binary f) {
        return switch (f) {
            case ADD -> FloatVector::add;
            case SUB -> FloatVector::sub;
            case MUL -> FloatVector::mul;
            case DIV -> FloatVector::div;
            case MAX -> FloatVector::max;
            case MIN -> FloatVector::min;
            case LT -> (a, b) -> oneWhere(a.compare(VectorOperators.LT, b));
            case LE -> (a, b) -> oneWhere(a.compare(VectorOperators.LE, b));
            case EQ -> (a, b) -> oneWhere(a.compare(VectorOperators.EQ, b));
        };
    }

    /// Derivative of `x σ(x)`, given s = σ(x): `s (1 + x (1 − s))`.
    static FloatVector siluSlope(FloatVector x, FloatVector s) {
        return s.mul(x.fma(ONE.sub(s), ONE));
    }

    /// `e^(−x²/2)`.
    private static FloatVector bell(FloatVector x) {
        return Exp.exp(x.mul(x).mul(MINUS_HALF));
    }

    /// −1, 1, or the zero or NaN itself.
    private static FloatVector sign(FloatVector x) {
        return x.blend(1, x.compare(VectorOperators.GT, 0)).blend(-1, x.compare(VectorOperators.LT, 0));
    }

    /// `2 √(2/π) · (x + 0.044715 x³)`.
    private static FloatVector twiceInner(FloatVector x) {
        return x.mul(x).fma(CUBIC, LINEAR).mul(x);
    }

    private static FloatVector oneWhere(VectorMask<Float> mask) {
        return FloatVector.zero(Lanes.F32).blend(1, mask);
    }
}
