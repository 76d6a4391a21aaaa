package dev.graft.tensor.cpu;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.graft.tensor.Backends;
import dev.graft.tensor.DType;
import dev.graft.tensor.Scope;
import dev.graft.tensor.Tensor;
import dev.graft.tensor.op.Unary;
import dev.graft.tensor.op.UnaryGrad;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/// The elementwise functions far from zero, at their seams and at the values that are not numbers, against double precision.
class FunctionsTest {
    private static final float[] SPECIAL = {0f, -0f, Float.MIN_VALUE, -Float.MIN_VALUE, Float.MIN_NORMAL, 1e-20f, -1e-20f, 0.625f,
            0.6249999f, 1, -1,
            0.99999994f, 1.0000001f, 1.4142135f, 1.4142137f, 88.72283f, 88.7229f, 89, 100, -87.33655f, -88, -103.9f, -104, -110, 1e10f,
            -1e10f,
            Float.MAX_VALUE, -Float.MAX_VALUE, Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY, Float.NaN};

    @ParameterizedTest
    @EnumSource
    void valueIsRightEverywhere(Unary f) {
        float[] x = inputs();
        float[] y = compute(x, f::apply);
        for (int i = 0; i < x.length; i++) {
            double want = f.value(x[i]);
            check(f, x[i], want, y[i], 6 * Math.ulp((float) want) + 8 * Float.MIN_NORMAL + slack(f, x[i]));
        }
    }

    @ParameterizedTest
    @EnumSource
    void derivativeIsRightEverywhere(Unary f) {
        float[] x = inputs();
        float[] dy = compute(x, t -> new UnaryGrad(f).apply(t, Tensor.full(t.spec(), 1.5)));
        for (int i = 0; i < x.length; i++) {
            double want = 1.5 * f.derivative(x[i], f.value(x[i]));
            if (!Double.isFinite(want) || Math.abs(x[i]) > 1e9) continue;           // infinities that the formulas multiply with zeros
            check(f, x[i], want, dy[i], 8 * Math.ulp((float) want) + 3e-6);         // 1 − y loses what y was rounded by, and is multiplied again
        }
    }

    @Test
    void exponentialGoesDownToTheSmallestNumbers() {
        float[] y = compute(new float[] {-87.5f, -95, -103, -103.9f, -104.5f, Float.NEGATIVE_INFINITY}, Tensor::exp);
        assertThat(y).containsExactly((float) Math.exp(-87.5), (float) Math.exp(-95), (float) Math.exp(-103), Float.MIN_VALUE, 0, 0);
    }

    /// The remainder of a row is computed by scalar code: a row's length must not show in its values.
    @Test
    void exponentialOfARemainderHasTheSameBits() {
        assumeTrue(VectorWidth.isVector(), "needs vectors");
        float[] x = inputs();
        float[] y = compute(x, Tensor::exp);
        for (int i = 0; i < x.length; i++) assertThat(Float.compare(Exp.exp(x[i]), y[i])).as("exp(%s)", x[i]).isZero();
    }

    private static float[] inputs() {
        float[] x = new float[4000 + SPECIAL.length];
        for (int i = 0; i < 2000; i++) x[i] = (i - 1000) / 90f;
        for (int i = 0; i < 2000; i++) x[2000 + i] = (float) ((i % 2 == 0 ? 1 : -1) * Math.pow(10, -6 + i / 250.0));
        System.arraycopy(SPECIAL, 0, x, 4000, SPECIAL.length);
        return x;
    }

    private static float[] compute(float[] x, UnaryOperator<Tensor> f) {
        try (var _ = Scope.open(Backends.named("cpu"))) {
            return f.apply(Tensor.of(x)).toFloats();
        }
    }

    /// Far to the left GELU is a small factor of x, the difference of numbers that were rounded.
    private static double slack(Unary f, float x) {
        return switch (f) {
            case GELU, GELU_TANH -> 1.5e-7 * Math.min(8, Math.abs(x));
            case ABS, SIGN, SQUARE, SQRT, RSQRT, RECIP, EXP, LOG, SIN, COS, TANH, SIGMOID, RELU, SILU, SOFTPLUS, ERF -> 0;
        };
    }

    private static void check(Unary f, float x, double want, float got, double allowed) {
        if (Float.compare(got, (float) want) == 0 || got == want) return;
        assertThat(Math.abs(got - want)).as("%s(%s) is %s, got %s", f, x, want, got).isLessThanOrEqualTo(allowed);
    }
}
