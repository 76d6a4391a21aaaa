package dev.graft.tensor.cpu;

import dev.graft.tensor.op.BoxMuller;
import dev.graft.tensor.op.Random;
import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.DoubleVector;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.LongVector;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorShape;
import jdk.incubator.vector.VectorSpecies;

/// Normal [Random] numbers a vector at a time, bit for bit those that [Random#value] gives one by one.
///
/// ```
/// k as a double, 0 ≤ k < 2⁵³:    (2⁸⁴ + ⌊k/2³²⌋ 2³²) − (2⁸⁴ + 2⁵²) + (2⁵² + k mod 2³²)      the brackets by setting bits; no vector unit before AVX-512 converts
/// ```
final class Normals {
    private static final VectorSpecies<Double> F64 = Lanes.F64;
    private static final VectorSpecies<Long> I64 = VectorSpecies.of(long.class, F64.vectorShape());
    private static final VectorSpecies<Float> HALF = VectorSpecies.of(float.class, VectorShape.forBitSize(VectorWidth.BITS / 2));

    /// How many at a time.
    static final int LENGTH = F64.length();

    private static final LongVector FIRST = LongVector.zero(I64).addIndex(1).mul(2 * Random.PHI);
    private static final LongVector NEXT = longs(Random.PHI);
    private static final LongVector MIX_1 = longs(Random.MIX_1);
    private static final LongVector MIX_2 = longs(Random.MIX_2);

    private static final LongVector LOW = longs(0xFFFF_FFFFL);
    private static final LongVector BITS_52 = longs(Double.doubleToRawLongBits(0x1p52));
    private static final LongVector BITS_84 = longs(Double.doubleToRawLongBits(0x1p84));
    private static final DoubleVector BOTH = doubles(0x1p84 + 0x1p52);
    private static final DoubleVector UNIT = doubles(0x1p-53);

    private static final LongVector SQRT_HALF = longs(BoxMuller.SQRT_HALF);
    private static final LongVector EXPONENT = longs(0xFFF0_0000_0000_0000L);
    private static final LongVector BIAS = longs(1023L << 52);
    private static final DoubleVector BIASED = doubles(0x1p52 + 1023);
    private static final DoubleVector LN_2 = doubles(BoxMuller.LN_2);
    private static final DoubleVector ONE = doubles(1);
    private static final DoubleVector HALF_TURN = doubles(0.5);
    private static final DoubleVector QUARTER_TURN = doubles(0.25);
    private static final DoubleVector MINUS_TWO = doubles(-2);

    private static final DoubleVector L0 = logarithm(0);
    private static final DoubleVector L1 = logarithm(1);
    private static final DoubleVector L2 = logarithm(2);
    private static final DoubleVector L3 = logarithm(3);
    private static final DoubleVector L4 = logarithm(4);
    private static final DoubleVector L5 = logarithm(5);
    private static final DoubleVector L6 = logarithm(6);
    private static final DoubleVector L7 = logarithm(7);
    private static final DoubleVector L8 = logarithm(8);
    private static final DoubleVector L9 = logarithm(9);
    private static final DoubleVector L10 = logarithm(10);

    private static final DoubleVector C0 = cosine(0);
    private static final DoubleVector C1 = cosine(1);
    private static final DoubleVector C2 = cosine(2);
    private static final DoubleVector C3 = cosine(3);
    private static final DoubleVector C4 = cosine(4);
    private static final DoubleVector C5 = cosine(5);
    private static final DoubleVector C6 = cosine(6);
    private static final DoubleVector C7 = cosine(7);
    private static final DoubleVector C8 = cosine(8);
    private static final DoubleVector C9 = cosine(9);
    private static final DoubleVector C10 = cosine(10);

    private Normals() {
    }

    /// The `n` elements from `first` on, n a multiple of [#LENGTH], as floats.
    static void fill(long seed, long first, int n, MemorySegment to, long at) {
        long origin = Random.mix(seed) + 2 * first * Random.PHI;
        for (int i = 0; i < n; i += LENGTH) {
            LongVector z = FIRST.add(origin + 2L * i * Random.PHI);
            DoubleVector r = ln(ONE.sub(fraction(z))).mul(MINUS_TWO).sqrt().mul(cosine(fraction(z.add(NEXT))));
            ((FloatVector) r.convertShape(VectorOperators.D2F, HALF, 0)).intoMemorySegment(to, at + 4L * i, Lanes.ORDER);
        }
    }

    private static DoubleVector fraction(LongVector z) {
        LongVector a = z.lanewise(VectorOperators.XOR, z.lanewise(VectorOperators.LSHR, 30)).mul(MIX_1);
        LongVector b = a.lanewise(VectorOperators.XOR, a.lanewise(VectorOperators.LSHR, 27)).mul(MIX_2);
        LongVector k = b.lanewise(VectorOperators.XOR, b.lanewise(VectorOperators.LSHR, 31)).lanewise(VectorOperators.LSHR, 11);
        DoubleVector high = k.lanewise(VectorOperators.LSHR, 32).or(BITS_84).reinterpretAsDoubles();
        DoubleVector low = k.and(LOW).or(BITS_52).reinterpretAsDoubles();
        return high.sub(BOTH).add(low).mul(UNIT);
    }

    private static DoubleVector ln(DoubleVector u) {
        LongVector bits = u.reinterpretAsLongs();
        LongVector t = bits.sub(SQRT_HALF);
        DoubleVector m = bits.sub(t.and(EXPONENT)).reinterpretAsDoubles();
        DoubleVector k = t.add(BIAS).lanewise(VectorOperators.LSHR, 52).or(BITS_52).reinterpretAsDoubles().sub(BIASED);
        DoubleVector s = m.sub(ONE).div(m.add(ONE));
        DoubleVector z = s.mul(s);
        DoubleVector p = L10.fma(z, L9).fma(z, L8).fma(z, L7).fma(z, L6).fma(z, L5).fma(z, L4).fma(z, L3).fma(z, L2).fma(z, L1).fma(z, L0);
        return k.fma(LN_2, s.mul(p));
    }

    private static DoubleVector cosine(DoubleVector v) {
        DoubleVector w = v.sub(HALF_TURN).abs().sub(QUARTER_TURN);
        DoubleVector z = w.mul(w);
        return C10.fma(z, C9).fma(z, C8).fma(z, C7).fma(z, C6).fma(z, C5).fma(z, C4).fma(z, C3).fma(z, C2).fma(z, C1).fma(z, C0).mul(w);
    }

    private static DoubleVector logarithm(int n) {
        return doubles(BoxMuller.logarithm()[n]);
    }

    private static DoubleVector cosine(int n) {
        return doubles(BoxMuller.cosine()[n]);
    }

    private static DoubleVector doubles(double value) {
        return DoubleVector.broadcast(F64, value);
    }

    private static LongVector longs(long value) {
        return LongVector.broadcast(I64, value);
    }
}
