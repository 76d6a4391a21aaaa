package dev.graft.tensor.cpu;

import static dev.graft.tensor.cpu.Exp.vector;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorOperators;

/// The error function and the normal distribution function in F32, for GELU.
///
/// ```
/// Φ(x) = (1 + erf z) / 2, or erfc(|z|) / 2 and 1 less it       z = x / √2
/// erf z = z + z P(z²)                                          |z| < 1
/// erfc z = e^(−z²) · Q(1 / (1 + z/2))                          1 ≤ z, to 10 of full precision        P, Q: least relative error (1e-9, 6e-8)
/// ```
final class ErrorFunction {
    private static final FloatVector SQRT_HALF = vector(0.70710678f);

    private static final FloatVector P0 = vector(0.12837917f);
    private static final FloatVector P1 = vector(-0.37612626f);
    private static final FloatVector P2 = vector(0.112835854f);
    private static final FloatVector P3 = vector(-0.026853811f);
    private static final FloatVector P4 = vector(0.0051883277f);
    private static final FloatVector P5 = vector(-0.00080101925f);
    private static final FloatVector P6 = vector(7.853858e-05f);

    private static final FloatVector Q0 = vector(-2.5869518e-05f);
    private static final FloatVector Q1 = vector(0.28274697f);
    private static final FloatVector Q2 = vector(0.27517012f);
    private static final FloatVector Q3 = vector(0.28710827f);
    private static final FloatVector Q4 = vector(0.03712992f);
    private static final FloatVector Q5 = vector(0.37037018f);
    private static final FloatVector Q6 = vector(-0.32656315f);
    private static final FloatVector Q7 = vector(0.07358265f);

    private ErrorFunction() {
    }

    /// Φ(x), given the exponential `e^(−x²/2)`, which the density needs too.
    static FloatVector phi(FloatVector x, FloatVector e) {
        FloatVector z = x.mul(SQRT_HALF);
        FloatVector size = z.abs();
        FloatVector tail = complement(size, e).mul(Exp.HALF);
        FloatVector far = tail.blend(Exp.ONE.sub(tail), x.test(VectorOperators.IS_NEGATIVE).not());
        return far.blend(near(z).fma(Exp.HALF, Exp.HALF), size.compare(VectorOperators.LT, Exp.ONE));
    }

    static FloatVector erf(FloatVector x) {
        FloatVector size = x.abs();
        FloatVector far = Exp.copySign(Exp.ONE.sub(complement(size, Exp.exp(x.mul(x).neg()))), x);
        return far.blend(near(x), size.compare(VectorOperators.LT, Exp.ONE));
    }

    /// erf where |z| < 1.
    private static FloatVector near(FloatVector z) {
        FloatVector s = z.mul(z);
        return P6.fma(s, P5).fma(s, P4).fma(s, P3).fma(s, P2).fma(s, P1).fma(s, P0).fma(z, z);
    }

    /// erfc where 1 ≤ z, given `e^(−z²)`.
    private static FloatVector complement(FloatVector z, FloatVector e) {
        FloatVector t = Exp.ONE.div(z.fma(Exp.HALF, Exp.ONE));
        return Q7.fma(t, Q6).fma(t, Q5).fma(t, Q4).fma(t, Q3).fma(t, Q2).fma(t, Q1).fma(t, Q0).mul(e);
    }
}
