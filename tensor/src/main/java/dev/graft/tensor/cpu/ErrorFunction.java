package dev.graft.tensor.cpu;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorOperators;

/// The normal distribution function in F32, for GELU.
///
/// ```
/// Φ(x) = (1 + erf z) / 2 or erfc(|z|) / 2       z = x / √2
/// erf z = z + z P(z²)                           |z| < 1
/// erfc z = e^(−z²) · Q(1 / (1 + z/2))           1 ≤ z ≤ 10        P, Q: least relative error (6e-8)
/// ```
final class ErrorFunction {
    private static final float SQRT_HALF = 0.70710678f;

    private ErrorFunction() {
    }

    static FloatVector phi(FloatVector x) {
        FloatVector z = x.mul(SQRT_HALF);
        FloatVector tail = complement(z.abs().min(10)).mul(0.5f);
        FloatVector far = tail.blend(FloatVector.broadcast(Lanes.F32, 1).sub(tail), x.compare(VectorOperators.GT, 0));
        return far.blend(near(z).fma(FloatVector.broadcast(Lanes.F32, 0.5f), FloatVector.broadcast(Lanes.F32, 0.5f)), z.abs().lt(1));
    }

    static FloatVector erf(FloatVector x) {
        FloatVector size = x.abs();
        FloatVector far = Exp.copySign(FloatVector.broadcast(Lanes.F32, 1).sub(complement(size.min(10))), x);
        return far.blend(near(x), size.lt(1));
    }

    /// erf where |z| < 1.
    private static FloatVector near(FloatVector z) {
        FloatVector s = z.mul(z);
        FloatVector p = FloatVector.broadcast(Lanes.F32, 7.853858e-05f).fma(s, FloatVector.broadcast(Lanes.F32, -0.00080101925f));
        p = p.fma(s, FloatVector.broadcast(Lanes.F32, 0.0051883277f));
        p = p.fma(s, FloatVector.broadcast(Lanes.F32, -0.026853811f));
        p = p.fma(s, FloatVector.broadcast(Lanes.F32, 0.112835854f));
        p = p.fma(s, FloatVector.broadcast(Lanes.F32, -0.37612626f));
        p = p.fma(s, FloatVector.broadcast(Lanes.F32, 0.12837917f));
        return p.fma(z, z);
    }

    /// erfc where 1 ≤ z ≤ 10.
    private static FloatVector complement(FloatVector z) {
        FloatVector t = FloatVector.broadcast(Lanes.F32, 1).div(z.mul(0.5f).add(1));
        FloatVector q = FloatVector.broadcast(Lanes.F32, 0.07358265f).fma(t, FloatVector.broadcast(Lanes.F32, -0.32656315f));
        q = q.fma(t, FloatVector.broadcast(Lanes.F32, 0.37037018f));
        q = q.fma(t, FloatVector.broadcast(Lanes.F32, 0.03712992f));
        q = q.fma(t, FloatVector.broadcast(Lanes.F32, 0.28710827f));
        q = q.fma(t, FloatVector.broadcast(Lanes.F32, 0.27517012f));
        q = q.fma(t, FloatVector.broadcast(Lanes.F32, 0.28274697f));
        q = q.fma(t, FloatVector.broadcast(Lanes.F32, -2.5869518e-05f));
        return Exp.exp(z.mul(z).neg()).mul(q);
    }
}
