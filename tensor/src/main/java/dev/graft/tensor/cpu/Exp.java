package dev.graft.tensor.cpu;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorOperators;

/// The exponential function and what is made of it, in F32, to about one unit in the last place.
///
/// ```
/// n = round(x / ln 2)      r = x − n ln 2, |r| ≤ ln 2 / 2      eˣ = 2ⁿ (1 + r + r² P(r))      P: least relative error
/// ```
/// Why not `lanewise(EXP)`: compiled code takes it from the JDK's vector maths library, uncompiled code from [Math#exp], and these differ in the last
/// bit. The same seed would then give other bits whenever the JIT is a little later. Fused multiply-add is exact everywhere.
final class Exp {
    private static final float LOG2E = 1.44269504f;
    private static final float LN2_HIGH = 0.693359375f;
    private static final float LN2_LOW = -2.12194440e-4f;
    /// Added and taken off again, it rounds to an integer, which also stands in the low bits of the sum.
    private static final float ROUND = 0x1.8p23f;
    private static final int ROUND_BITS = Float.floatToRawIntBits(ROUND);
    private static final float LEAST = -104;
    private static final float MOST = 89;

    private Exp() {
    }

    static FloatVector exp(FloatVector x) {
        FloatVector in = x.max(LEAST).min(MOST);
        FloatVector sum = in.fma(FloatVector.broadcast(Lanes.F32, LOG2E), FloatVector.broadcast(Lanes.F32, ROUND));
        FloatVector n = sum.sub(ROUND);
        FloatVector r = n.fma(FloatVector.broadcast(Lanes.F32, -LN2_HIGH), in);
        r = n.fma(FloatVector.broadcast(Lanes.F32, -LN2_LOW), r);
        FloatVector p = FloatVector.broadcast(Lanes.F32, 0.0013901284f).fma(r, FloatVector.broadcast(Lanes.F32, 0.008363146f));
        p = p.fma(r, FloatVector.broadcast(Lanes.F32, 0.041666854f));
        p = p.fma(r, FloatVector.broadcast(Lanes.F32, 0.16666578f));
        p = p.fma(r, FloatVector.broadcast(Lanes.F32, 0.5f));
        p = p.fma(r.mul(r), r).add(1);
        IntVector k = sum.reinterpretAsInts().sub(ROUND_BITS);
        IntVector half = k.lanewise(VectorOperators.ASHR, 1);
        return p.mul(power(half)).mul(power(k.sub(half)));                      // 2ⁿ in two steps: one would overflow before the result does
    }

    /// `2ⁿ`.
    private static FloatVector power(IntVector n) {
        return n.add(127).lanewise(VectorOperators.LSHL, 23).reinterpretAsFloats();
    }

    /// The same for a remainder of a row, bit for bit.
    static float exp(float x) {
        float in = Math.min(Math.max(x, LEAST), MOST);
        float sum = Math.fma(in, LOG2E, ROUND);
        float n = sum - ROUND;
        float r = Math.fma(n, -LN2_LOW, Math.fma(n, -LN2_HIGH, in));
        float p = Math.fma(0.0013901284f, r, 0.008363146f);
        p = Math.fma(Math.fma(Math.fma(p, r, 0.041666854f), r, 0.16666578f), r, 0.5f);
        p = Math.fma(p, r * r, r) + 1;
        int k = Float.floatToRawIntBits(sum) - ROUND_BITS;
        int half = k >> 1;
        return p * Float.intBitsToFloat(half + 127 << 23) * Float.intBitsToFloat(k - half + 127 << 23);
    }

    /// `1 / (1 + e⁻ˣ)`.
    static FloatVector sigmoid(FloatVector x) {
        return FloatVector.broadcast(Lanes.F32, 1).div(exp(x.neg()).add(1));
    }

    static float sigmoid(float x) {
        return 1 / (1 + exp(-x));
    }

    /// ```
    /// x + x³ P(x²)  for |x| < 0.625        ±(1 − 2 / (e^(2|x|) + 1))  else
    /// ```
    static FloatVector tanh(FloatVector x) {
        FloatVector s = x.mul(x);
        FloatVector p = FloatVector.broadcast(Lanes.F32, -0.006096937f).fma(s, FloatVector.broadcast(Lanes.F32, 0.020997355f));
        p = p.fma(s, FloatVector.broadcast(Lanes.F32, -0.053850953f));
        p = p.fma(s, FloatVector.broadcast(Lanes.F32, 0.13332771f));
        p = p.fma(s, FloatVector.broadcast(Lanes.F32, -0.33333328f));
        FloatVector near = p.mul(s).fma(x, x);
        FloatVector size = x.abs();
        FloatVector far = FloatVector.broadcast(Lanes.F32, 1).sub(FloatVector.broadcast(Lanes.F32, 2).div(exp(size.add(size)).add(1)));
        return copySign(far, x).blend(near, size.lt(0.625f));
    }

    /// The first one's size with the second one's sign.
    static FloatVector copySign(FloatVector size, FloatVector sign) {
        return size.reinterpretAsInts().or(sign.reinterpretAsInts().and(1 << 31)).reinterpretAsFloats();
    }
}
