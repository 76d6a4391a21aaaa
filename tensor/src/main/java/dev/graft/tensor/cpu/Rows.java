package dev.graft.tensor.cpu;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;

/// What the kernels do to one contiguous row of F32. Folds go in an order that depends on the row's length alone.
///
/// Sums have four accumulators, because an addition takes four cycles and two can start in each. The loop is a method of its own, and so is the remainder:
/// small methods are compiled well, and from their beginning.
final class Rows {
    private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT_UNALIGNED;
    private static final int L = Lanes.LENGTH;
    private static final int STEP = 4 * L;

    private Rows() {
    }

    /// `Σ x`.
    static float sum(MemorySegment x, long xo, int n) {
        int whole = n - n % STEP;
        float sum = whole == 0 ? 0 : sumBody(x, xo, whole);
        for (int i = whole; i < n; i++) sum += x.get(FLOAT, xo + i * 4L);
        return sum;
    }

    private static float sumBody(MemorySegment x, long xo, int n) {
        FloatVector s0 = FloatVector.zero(Lanes.F32);
        FloatVector s1 = s0;
        FloatVector s2 = s0;
        FloatVector s3 = s0;
        for (int i = 0; i < n; i += STEP) {
            long at = xo + i * 4L;
            s0 = load(x, at).add(s0);
            s1 = load(x, at + L * 4L).add(s1);
            s2 = load(x, at + L * 8L).add(s2);
            s3 = load(x, at + L * 12L).add(s3);
        }
        return Lanes.sum(s0.add(s1).add(s2.add(s3)));
    }

    /// `Σ a b`.
    static float dot(MemorySegment a, long ao, MemorySegment b, long bo, int n) {
        int whole = n - n % STEP;
        float sum = whole == 0 ? 0 : dotBody(a, ao, b, bo, whole);
        for (int i = whole; i < n; i++) sum += a.get(FLOAT, ao + i * 4L) * b.get(FLOAT, bo + i * 4L);
        return sum;
    }

    private static float dotBody(MemorySegment a, long ao, MemorySegment b, long bo, int n) {
        FloatVector s0 = FloatVector.zero(Lanes.F32);
        FloatVector s1 = s0;
        FloatVector s2 = s0;
        FloatVector s3 = s0;
        for (int i = 0; i < n; i += STEP) {
            long x = ao + i * 4L;
            long y = bo + i * 4L;
            s0 = load(a, x).fma(load(b, y), s0);
            s1 = load(a, x + L * 4L).fma(load(b, y + L * 4L), s1);
            s2 = load(a, x + L * 8L).fma(load(b, y + L * 8L), s2);
            s3 = load(a, x + L * 12L).fma(load(b, y + L * 12L), s3);
        }
        return Lanes.sum(s0.add(s1).add(s2.add(s3)));
    }

    /// The largest; NaN when there is one; −∞ of nothing.
    static float max(MemorySegment x, long xo, int n) {
        int whole = n - n % STEP;
        float max = whole == 0 ? Float.NEGATIVE_INFINITY : maxBody(x, xo, whole);
        for (int i = whole; i < n; i++) max = Math.max(max, x.get(FLOAT, xo + i * 4L));
        return max;
    }

    private static float maxBody(MemorySegment x, long xo, int n) {
        FloatVector m0 = FloatVector.broadcast(Lanes.F32, Float.NEGATIVE_INFINITY);
        FloatVector m1 = m0;
        FloatVector m2 = m0;
        FloatVector m3 = m0;
        for (int i = 0; i < n; i += STEP) {
            long at = xo + i * 4L;
            m0 = load(x, at).max(m0);
            m1 = load(x, at + L * 4L).max(m1);
            m2 = load(x, at + L * 8L).max(m2);
            m3 = load(x, at + L * 12L).max(m3);
        }
        return m0.max(m1).max(m2.max(m3)).reduceLanes(VectorOperators.MAX);
    }

    /// Where the first element of this value is, NaN being found too.
    static int indexOf(float value, MemorySegment x, long xo, int n) {
        int whole = n - n % L;
        int found = Float.isNaN(value) ? -1 : indexOfBody(value, x, xo, whole);
        if (found >= 0) return found;
        for (int i = Float.isNaN(value) ? 0 : whole; i < n; i++) {
            float v = x.get(FLOAT, xo + i * 4L);
            if (v == value || v != v && value != value) return i;
        }
        throw new AssertionError(value);
    }

    private static int indexOfBody(float value, MemorySegment x, long xo, int n) {
        for (int i = 0; i < n; i += L) {
            VectorMask<Float> hit = load(x, xo + i * 4L).compare(VectorOperators.EQ, value);
            if (hit.anyTrue()) return i + hit.firstTrue();
        }
        return -1;
    }

    /// `y = e^(x − shift)`, and its sum. In place where y is x.
    static float exp(MemorySegment x, long xo, float shift, MemorySegment y, long yo, int n) {
        int whole = n - n % L;
        float sum = whole == 0 ? 0 : expBody(x, xo, shift, y, yo, whole);
        for (int i = whole; i < n; i++) {
            float e = Exp.exp(x.get(FLOAT, xo + i * 4L) - shift);
            y.set(FLOAT, yo + i * 4L, e);
            sum += e;
        }
        return sum;
    }

    private static float expBody(MemorySegment x, long xo, float shift, MemorySegment y, long yo, int n) {
        FloatVector sum = FloatVector.zero(Lanes.F32);
        for (int i = 0; i < n; i += L) {
            FloatVector e = Exp.exp(load(x, xo + i * 4L).sub(shift));
            e.intoMemorySegment(y, yo + i * 4L, Lanes.ORDER);
            sum = e.add(sum);
        }
        return Lanes.sum(sum);
    }

    /// `Σ e^(x − shift)`.
    static float sumOfExp(MemorySegment x, long xo, float shift, int n) {
        int whole = n - n % L;
        float sum = whole == 0 ? 0 : sumOfExpBody(x, xo, shift, whole);
        for (int i = whole; i < n; i++) sum += Exp.exp(x.get(FLOAT, xo + i * 4L) - shift);
        return sum;
    }

    private static float sumOfExpBody(MemorySegment x, long xo, float shift, int n) {
        FloatVector sum = FloatVector.zero(Lanes.F32);
        for (int i = 0; i < n; i += L) sum = Exp.exp(load(x, xo + i * 4L).sub(shift)).add(sum);
        return Lanes.sum(sum);
    }

    /// `y = a x + b`. In place where y is x.
    static void affine(MemorySegment x, long xo, float a, float b, MemorySegment y, long yo, int n) {
        int whole = n - n % L;
        if (whole > 0) affineBody(x, xo, a, b, y, yo, whole);
        for (int i = whole; i < n; i++) y.set(FLOAT, yo + i * 4L, Math.fma(a, x.get(FLOAT, xo + i * 4L), b));
    }

    /// The same for whole vectors.
    static void affineBody(MemorySegment x, long xo, float a, float b, MemorySegment y, long yo, int n) {
        FloatVector times = FloatVector.broadcast(Lanes.F32, a);
        FloatVector plus = FloatVector.broadcast(Lanes.F32, b);
        for (int i = 0; i < n; i += L) times.fma(load(x, xo + i * 4L), plus).intoMemorySegment(y, yo + i * 4L, Lanes.ORDER);
    }

    /// `y += x`.
    static void add(MemorySegment x, long xo, MemorySegment y, long yo, int n) {
        int whole = n - n % L;
        if (whole > 0) addBody(x, xo, y, yo, whole);
        for (int i = whole; i < n; i++) y.set(FLOAT, yo + i * 4L, y.get(FLOAT, yo + i * 4L) + x.get(FLOAT, xo + i * 4L));
    }

    private static void addBody(MemorySegment x, long xo, MemorySegment y, long yo, int n) {
        for (int i = 0; i < n; i += L) load(y, yo + i * 4L).add(load(x, xo + i * 4L)).intoMemorySegment(y, yo + i * 4L, Lanes.ORDER);
    }

    static void fill(float value, MemorySegment y, long yo, int n) {
        for (int i = 0; i < n; i++) y.set(FLOAT, yo + i * 4L, value);
    }

    private static FloatVector load(MemorySegment from, long at) {
        return FloatVector.fromMemorySegment(Lanes.F32, from, at, Lanes.ORDER);
    }
}
