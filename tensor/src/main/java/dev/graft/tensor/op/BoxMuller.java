package dev.graft.tensor.op;

/// Normal numbers from uniform ones (Box & Muller 1958), by arithmetic that every backend repeats to the bit: `+ − × ÷ √` and fused multiply-add alone.
///
/// ```
/// normal  = √(−2 ln u) · cos 2πv                       u in (0, 1], v in [0, 1)
/// ln u    = k ln 2 + s (2 + ⅔ z + ⅖ z² + …)            u = 2ᵏ m, √½ ≤ m < √2      s = (m − 1) / (m + 1)      z = s² ≤ 0.03
/// cos 2πv = w (2π − (2π)³/3! z + (2π)⁵/5! z² − …)      w = |v − ½| − ¼, so that this is sin 2πw      z = w² ≤ 1/16
/// ```
/// Both series are cut where what is left out is below a unit in the last place.
public final class BoxMuller {
    /// The bits of √½.
    public static final long SQRT_HALF = 0x3FE6A09E667F3BCDL;

    public static final double LN_2 = 0.6931471805599453;

    private static final double[] LN = new double[11];
    private static final double[] COS = {6.283185307179586, -41.34170224039976, 81.60524927607506, -76.70585975306139, 42.058693944897655,
            -15.09464257682299, 3.819952584848282, -0.7181223017785006, 0.10422916220813984, -0.012031585942120627, 0.0011309237482517963};

    static {
        for (int n = 0; n < LN.length; n++) LN[n] = 2.0 / (2 * n + 1);
    }

    private BoxMuller() {
    }

    /// The coefficients of the logarithm's series, lowest power first.
    public static double[] logarithm() {
        return LN.clone();
    }

    /// The coefficients of the cosine's series, lowest power first.
    public static double[] cosine() {
        return COS.clone();
    }

    static double normal(double u, double v) {
        return Math.sqrt(-2 * ln(u)) * cosine(v);
    }

    static double ln(double u) {
        long bits = Double.doubleToRawLongBits(u);
        long t = bits - SQRT_HALF;
        double m = Double.longBitsToDouble(bits - (t >> 52 << 52));
        double s = (m - 1) / (m + 1);
        return Math.fma(t >> 52, LN_2, s * series(LN, s * s));
    }

    /// cos 2πv
    static double cosine(double v) {
        double w = Math.abs(v - 0.5) - 0.25;
        return w * series(COS, w * w);
    }

    private static double series(double[] c, double z) {
        double sum = c[10];
        for (int n = 9; n >= 0; n--) sum = Math.fma(sum, z, c[n]);
        return sum;
    }
}
