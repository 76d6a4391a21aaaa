package dev.graft.tensor.cpu;

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
    private static final float ROOT_2_OVER_PI = 0.7978845608f;
    private static final float ROOT_HALF_OVER_PI = 0.3989422804f;

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
            case RSQRT -> x -> one().div(x.sqrt());
            case RECIP -> x -> one().div(x);
            case EXP -> Exp::exp;
            case TANH -> Exp::tanh;
            case SIGMOID -> Exp::sigmoid;
            case RELU -> x -> x.mul(0).blend(x, x.compare(VectorOperators.GT, 0));
            case SILU -> x -> x.mul(Exp.sigmoid(x));
            case GELU -> x -> x.mul(ErrorFunction.phi(x));
            case GELU_TANH -> x -> x.mul(Exp.sigmoid(inner(x).mul(2)));          // (1 + tanh u) / 2 = σ(2u)
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
                return dy.mul(one().sub(y.mul(y)));
            };
            case SIGMOID -> (x, dy) -> {
                FloatVector y = Exp.sigmoid(x);
                return dy.mul(y.mul(one().sub(y)));
            };
            case RELU -> (x, dy) -> dy.mul(0).blend(dy, x.compare(VectorOperators.GT, 0));
            case SILU -> (x, dy) -> dy.mul(siluSlope(x, Exp.sigmoid(x)));
            case GELU -> (x, dy) -> dy.mul(ErrorFunction.phi(x).add(x.mul(ROOT_HALF_OVER_PI).mul(Exp.exp(x.mul(x).mul(-0.5f)))));
            case GELU_TANH -> (x, dy) -> {
                FloatVector s = Exp.sigmoid(inner(x).mul(2));
                FloatVector slope = x.mul(x).mul(3 * 0.044715f).add(1).mul(2 * ROOT_2_OVER_PI);
                return dy.mul(x.mul(s).mul(one().sub(s)).mul(slope).add(s));
            };
            case SOFTPLUS -> (x, dy) -> dy.mul(Exp.sigmoid(x));
            case ERF -> (x, dy) -> dy.mul(2 * ROOT_2_OVER_PI * 0.70710678f).mul(Exp.exp(x.mul(x).neg()));
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
        return s.mul(x.mul(one().sub(s)).add(1));
    }

    /// −1, 1, or the zero or NaN itself.
    private static FloatVector sign(FloatVector x) {
        return x.blend(1, x.compare(VectorOperators.GT, 0)).blend(-1, x.compare(VectorOperators.LT, 0));
    }

    /// `√(2/π) · (x + 0.044715 x³)`.
    private static FloatVector inner(FloatVector x) {
        return x.mul(x).mul(0.044715f).add(1).mul(x).mul(ROOT_2_OVER_PI);
    }

    private static FloatVector oneWhere(VectorMask<Float> mask) {
        return FloatVector.zero(Lanes.F32).blend(1, mask);
    }

    private static FloatVector one() {
        return FloatVector.broadcast(Lanes.F32, 1);
    }
}
