package dev.graft.tensor.op;

/// The error function, which the JDK lacks, to double precision.
///
/// ```
/// erf(x) = 2/√π · Σ (−1)ⁿ x²ⁿ⁺¹ / (n! (2n+1))                |x| < 3      (Abramowitz & Stegun 7.1.5)
/// erfc(x) = e^(−x²)/√π · 1/(x + (1/2)/(x + 1/(x + (3/2)/(x + …))))   else   (7.1.14)
/// ```
final class Erf {
    private Erf() {
    }

    static double erf(double x) {
        double a = Math.abs(x);
        return a < 3 ? series(x) : Math.copySign(1 - complement(a), x);
    }

    /// Normal distribution function, `(1 + erf(x/√2))/2`, without cancellation for negative x.
    static double phi(double x) {
        double z = Math.abs(x) / Math.sqrt(2);
        double upper = z < 3 ? (1 - series(z)) / 2 : complement(z) / 2;
        return x < 0 ? upper : 1 - upper;
    }

    private static double series(double x) {
        double term = x;
        double sum = x;
        for (int n = 1; n < 200; n++) {
            term *= -x * x / n;
            double add = term / (2 * n + 1);
            sum += add;
            if (Math.abs(add) < 1e-17 * Math.abs(sum)) break;
        }
        return 2 / Math.sqrt(Math.PI) * sum;
    }

    private static double complement(double x) {
        double fraction = x;
        for (int n = 80; n > 0; n--) fraction = x + n / 2.0 / fraction;
        return Math.exp(-x * x) / Math.sqrt(Math.PI) / fraction;
    }
}
