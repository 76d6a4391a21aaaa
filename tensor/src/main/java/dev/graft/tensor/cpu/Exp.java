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
///
/// Constants are vectors already: a broadcast costs the JIT some hundred bytecodes of inlining, and beyond 8000 in one method it leaves calls standing,
/// through which vectors go as objects.
final class Exp {
    private static final float LOG2E = 1.44269504f;
    private static final float LN2_HIGH = 0.693359375f;
    private static final float LN2_LOW = -2.12194440e-4f;
    /// Added and taken off again, it rounds to an integer, which also stands in the low bits of the sum.
    private static final float ROUND = 0x1.8p23f;
    private static final int ROUND_BITS = Float.floatToRawIntBits(ROUND);
    private static final float LEAST = -104;
    private static final float MOST = 89;
    private static final float[] P = {0.5f, 0.16666578f, 0.041666854f, 0.008363146f, 0.0013901284f};

    private static final FloatVector V_LOG2E = vector(LOG2E);
    private static final FloatVector V_MINUS_LN2_HIGH = vector(-LN2_HIGH);
    private static final FloatVector V_MINUS_LN2_LOW = vector(-LN2_LOW);
    private static final FloatVector V_ROUND = vector(ROUND);
    private static final FloatVector V_LEAST = vector(LEAST);
    private static final FloatVector V_MOST = vector(MOST);
    private static final FloatVector P0 = vector(P[0]);
    private static final FloatVector P1 = vector(P[1]);
    private static final FloatVector P2 = vector(P[2]);
    private static final FloatVector P3 = vector(P[3]);
    private static final FloatVector P4 = vector(P[4]);
    private static final IntVector BIAS = IntVector.broadcast(Lanes.I32, 127);
    private static final IntVector V_ROUND_BITS = IntVector.broadcast(Lanes.I32, ROUND_BITS);
    private static final IntVector SIGN = IntVector.broadcast(Lanes.I32, 1 << 31);

    static final FloatVector ONE = vector(1);
    static final FloatVector TWO = vector(2);
    static final FloatVector HALF = vector(0.5f);

    private static final FloatVector T0 = vector(-0.33333328f);
    private static final FloatVector T1 = vector(0.13332771f);
    private static final FloatVector T2 = vector(-0.053850953f);
    private static final FloatVector T3 = vector(0.020997355f);
    private static final FloatVector T4 = vector(-0.006096937f);
    private static final FloatVector NEAR = vector(0.625f);

    private Exp() {
    }

    static FloatVector exp(FloatVector x) {
        FloatVector in = x.max(V_LEAST).min(V_MOST);
        FloatVector sum = in.fma(V_LOG2E, V_ROUND);
        FloatVector n = sum.sub(V_ROUND);
        FloatVector r = n.fma(V_MINUS_LN2_LOW, n.fma(V_MINUS_LN2_HIGH, in));
        FloatVector p = P4.fma(r, P3).fma(r, P2).fma(r, P1).fma(r, P0).fma(r.mul(r), r).add(ONE);
        IntVector k = sum.reinterpretAsInts().sub(V_ROUND_BITS);
        IntVector half = k.lanewise(VectorOperators.ASHR, 1);
        return p.mul(power(half)).mul(power(k.sub(half)));                      // 2ⁿ in two steps: one would overflow before the result does
    }

    /// `2ⁿ`.
    private static FloatVector power(IntVector n) {
        return n.add(BIAS).lanewise(VectorOperators.LSHL, 23).reinterpretAsFloats();
    }

    /// The same for a remainder of a row, bit for bit.
    static float exp(float x) {
        float in = Math.min(Math.max(x, LEAST), MOST);
        float sum = Math.fma(in, LOG2E, ROUND);
        float n = sum - ROUND;
        float r = Math.fma(n, -LN2_LOW, Math.fma(n, -LN2_HIGH, in));
        float p = Math.fma(Math.fma(Math.fma(Math.fma(P[4], r, P[3]), r, P[2]), r, P[1]), r, P[0]);
        p = Math.fma(p, r * r, r) + 1;
        int k = Float.floatToRawIntBits(sum) - ROUND_BITS;
        int half = k >> 1;
        return p * Float.intBitsToFloat(half + 127 << 23) * Float.intBitsToFloat(k - half + 127 << 23);
    }

    /// `1 / (1 + e⁻ˣ)`.
    static FloatVector sigmoid(FloatVector x) {
        return ONE.div(exp(x.neg()).add(ONE));
    }

    /// ```
    /// x + x³ P(x²)  for |x| < 0.625        ±(1 − 2 / (e^(2|x|) + 1))  else
    /// ```
    static FloatVector tanh(FloatVector x) {
        FloatVector size = x.abs();
        FloatVector far = copySign(ONE.sub(TWO.div(exp(size.add(size)).add(ONE))), x);
        FloatVector s = x.mul(x);
        FloatVector near = T4.fma(s, T3).fma(s, T2).fma(s, T1).fma(s, T0).mul(s).fma(x, x);
        return far.blend(near, size.compare(VectorOperators.LT, NEAR));
    }

    /// The first one's size with the second one's sign.
    static FloatVector copySign(FloatVector size, FloatVector sign) {
        return size.reinterpretAsInts().or(sign.reinterpretAsInts().and(SIGN)).reinterpretAsFloats();
    }

    static FloatVector vector(float value) {
        return FloatVector.broadcast(Lanes.F32, value);
    }
}
