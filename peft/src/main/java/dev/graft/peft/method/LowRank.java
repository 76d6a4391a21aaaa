package dev.graft.peft.method;

import dev.graft.tensor.Tensor;
import dev.graft.tensor.op.Random;
import java.util.Arrays;
import java.util.stream.IntStream;

/// Two thin matrices taken out of a large one, in double precision.
final class LowRank {
    /// How far a singular triplet may be off, as a share of the largest singular value; F32 is two digits coarser.
    private static final double TOLERANCE = 1e-10;

    private final double[][] left;  // r columns of length out
    private final double[][] right; // r rows of length in

    private LowRank(double[][] left, double[][] right) {
        this.left = left;
        this.right = right;
    }

    /// `[out, r]`.
    Tensor left() {
        int rows = left[0].length;
        float[] values = new float[rows * left.length];
        for (int i = 0; i < rows; i++) for (int j = 0; j < left.length; j++) values[i * left.length + j] = (float) left[j][i];
        return Tensor.of(values, rows, left.length);
    }

    /// `[r, in]`.
    Tensor right() {
        int columns = right[0].length;
        float[] values = new float[right.length * columns];
        for (int i = 0; i < right.length; i++) for (int j = 0; j < columns; j++) values[i * columns + j] = (float) right[i][j];
        return Tensor.of(values, right.length, columns);
    }

    /// The first `rank` columns of Q and rows of R in `W = Q R`, by Gram and Schmidt, each column twice ("twice is enough", Kahan).
    static LowRank orthonormal(float[] w, int out, int in, int rank) {
        double[][] q = new double[rank][];
        for (int j = 0; j < rank; j++) {
            double[] column = new double[out];
            for (int i = 0; i < out; i++) column[i] = w[i * in + j];
            q[j] = column;
            if (normalise(column, q, j) == 0) q[j] = fresh(out, q, j);
        }
        return new LowRank(q, Arrays.stream(q).map(v -> timesTransposed(w, out, in, v)).toArray(double[][]::new));
    }

    /// `left · right = W_r / scale`, W_r the sum of the `rank` largest singular triplets of W, the roots of the singular values on either side.
    ///
    /// Golub, Kahan and Lanczos: `W V = U B` with orthonormal U and V that grow by a column a step and an upper bidiagonal B, until the singular
    /// triplets of B are those of W. Columns are kept orthogonal to all before, so in the worst case B is all of W.
    static LowRank singular(float[] w, int out, int in, int rank, double scale) {
        if (out < in) {                                     // a wide matrix would leave a column over
            LowRank transposed = singular(transpose(w, out, in), in, out, rank, scale);
            return new LowRank(transposed.right, transposed.left);
        }
        int most = in;
        double[][] u = new double[most][];
        double[][] v = new double[most][];
        double[] alpha = new double[most];
        double[] beta = new double[most];
        v[0] = fresh(in, v, 0);
        int check = Math.min(most, 2 * rank + 20);
        for (int k = 0;; k++) {
            u[k] = times(w, out, in, v[k]);
            alpha[k] = normalise(u[k], u, k);
            if (alpha[k] == 0) u[k] = fresh(out, u, k);
            if (k + 1 < in) {
                v[k + 1] = timesTransposed(w, out, in, u[k]);
                beta[k] = normalise(v[k + 1], v, k + 1);
                if (beta[k] == 0) v[k + 1] = fresh(in, v, k + 1);
            }
            if (k + 1 < check) continue;
            if (k + 1 == most || settled(alpha, beta, k + 1, rank)) return principal(alpha, beta, k + 1, u, v, rank, scale);
            check = Math.min(most, check + check / 2);
        }
    }

    /// Whether the largest triplets of B, `n` wide, are triplets of W too: `‖Wᵀu − σv‖ = β |u_last|`. Needs the last elements of vectors alone.
    private static boolean settled(double[] alpha, double[] beta, int n, int rank) {
        double[][] last = new double[n][1];
        last[n - 1][0] = 1;
        double[] squares = eigen(alpha, beta, n, last);
        int[] order = descending(squares);
        double largest = Math.sqrt(squares[order[0]]);
        for (int i = 0; i < rank; i++) {
            double uLast = alpha[n - 1] * last[order[i]][0] / Math.sqrt(squares[order[i]]);
            if (!(beta[n - 1] * Math.abs(uLast) <= TOLERANCE * largest)) return false;
        }
        return true;
    }

    /// `√(S/scale)` times the vectors of the largest triplets on either side: those of B, spread by the columns of U and V.
    private static LowRank principal(double[] alpha, double[] beta, int n, double[][] u, double[][] v, int rank, double scale) {
        double[][] q = new double[n][n];
        for (int i = 0; i < n; i++) q[i][i] = 1;
        double[] squares = eigen(alpha, beta, n, q);
        int[] order = descending(squares);
        double[][] left = new double[rank][];
        double[][] right = new double[rank][];
        for (int i = 0; i < rank; i++) {
            double[] qi = q[order[i]];
            double[] bq = new double[n];                    // B q = σ p
            for (int j = 0; j < n; j++) bq[j] = alpha[j] * qi[j] + (j + 1 < n ? beta[j] * qi[j + 1] : 0);
            double sigma = Math.sqrt(dot(bq, bq));
            left[i] = combine(u, bq, sigma == 0 ? 0 : 1 / Math.sqrt(sigma * scale));
            right[i] = combine(v, qi, Math.sqrt(sigma / scale));
        }
        return new LowRank(left, right);
    }

    /// Eigenvalues of the tridiagonal BᵀB by QL steps with implicit shifts (Bowdler, Martin, Reinsch & Wilkinson 1968), each rotation applied to the
    /// columns of z.
    private static double[] eigen(double[] alpha, double[] beta, int n, double[][] z) {
        double[] d = new double[n];
        double[] e = new double[n];
        for (int i = 0; i < n; i++) {
            d[i] = alpha[i] * alpha[i] + (i > 0 ? beta[i - 1] * beta[i - 1] : 0);
            if (i + 1 < n) e[i] = alpha[i] * beta[i];
        }
        for (int l = 0; l < n; l++) {
            for (int m = block(d, e, l); m != l; m = block(d, e, l)) {
                double g = (d[l + 1] - d[l]) / (2 * e[l]);
                g = d[m] - d[l] + e[l] / (g + Math.copySign(Math.hypot(g, 1), g));
                double sin = 1;
                double cos = 1;
                double shift = 0;
                int i = m - 1;
                for (; i >= l; i--) {
                    double f = sin * e[i];
                    double b = cos * e[i];
                    double r = Math.hypot(f, g);
                    e[i + 1] = r;
                    if (r == 0) {
                        d[i + 1] -= shift;
                        e[m] = 0;
                        break;
                    }
                    sin = f / r;
                    cos = g / r;
                    g = d[i + 1] - shift;
                    r = (d[i] - g) * sin + 2 * cos * b;
                    shift = sin * r;
                    d[i + 1] = g + shift;
                    g = cos * r - b;
                    rotate(z[i], z[i + 1], cos, sin);
                }
                if (i >= l) continue;
                d[l] -= shift;
                e[l] = g;
                e[m] = 0;
            }
        }
        for (int i = 0; i < n; i++) d[i] = Math.max(0, d[i]);
        return d;
    }

    /// The end of the block that begins at l: where the next element off the diagonal is as good as zero.
    private static int block(double[] d, double[] e, int l) {
        int m = l;
        while (m + 1 < d.length && Math.abs(e[m]) > 0x1p-53 * (Math.abs(d[m]) + Math.abs(d[m + 1]))) m++;
        return m;
    }

    private static int[] descending(double[] values) {
        return IntStream.range(0, values.length).boxed().sorted((i, j) -> Double.compare(values[j], values[i])).mapToInt(i -> i).toArray();
    }

    private static void rotate(double[] a, double[] b, double cos, double sin) {
        for (int i = 0; i < a.length; i++) {
            double x = a[i];
            a[i] = cos * x - sin * b[i];
            b[i] = sin * x + cos * b[i];
        }
    }

    private static double[] combine(double[][] basis, double[] weights, double factor) {
        double[] sum = new double[basis[0].length];
        for (int k = 0; k < weights.length; k++) for (int i = 0; i < sum.length; i++) sum[i] += factor * weights[k] * basis[k][i];
        return sum;
    }

    /// Makes x orthogonal to the first `count` columns, then of length 1; returns the length it had, or 0 when nothing was left of it.
    private static double normalise(double[] x, double[][] columns, int count) {
        double before = Math.sqrt(dot(x, x));
        for (int pass = 0; pass < 2; pass++) {
            for (int k = 0; k < count; k++) {
                double d = dot(x, columns[k]);
                for (int i = 0; i < x.length; i++) x[i] -= d * columns[k][i];
            }
        }
        double length = Math.sqrt(dot(x, x));
        if (length <= 1e-13 * before) return 0;
        for (int i = 0; i < x.length; i++) x[i] /= length;
        return length;
    }

    /// A direction not among the first `count` columns.
    private static double[] fresh(int n, double[][] columns, int count) {
        for (long seed = count;; seed += n) {
            long s = seed;
            double[] x = IntStream.range(0, n).mapToDouble(i -> Random.uniform(s, i) - 0.5).toArray();
            if (normalise(x, columns, count) > 0) return x;
        }
    }

    private static float[] transpose(float[] w, int out, int in) {
        float[] t = new float[w.length];
        for (int i = 0; i < out; i++) for (int j = 0; j < in; j++) t[j * out + i] = w[i * in + j];
        return t;
    }

    private static double[] times(float[] w, int out, int in, double[] x) {
        double[] y = new double[out];
        double[] row = new double[in];
        for (int i = 0; i < out; i++) {
            for (int j = 0; j < in; j++) row[j] = w[i * in + j];
            y[i] = dot(row, x);
        }
        return y;
    }

    private static double[] timesTransposed(float[] w, int out, int in, double[] x) {
        double[] y = new double[in];
        for (int i = 0; i < out; i++) {
            double xi = x[i];
            for (int j = 0; j < in; j++) y[j] += w[i * in + j] * xi;
        }
        return y;
    }

    /// Four sums, since one waits for its own last addition.
    private static double dot(double[] a, double[] b) {
        double s0 = 0, s1 = 0, s2 = 0, s3 = 0;
        int i = 0;
        for (; i + 3 < a.length; i += 4) {
            s0 += a[i] * b[i];
            s1 += a[i + 1] * b[i + 1];
            s2 += a[i + 2] * b[i + 2];
            s3 += a[i + 3] * b[i + 3];
        }
        for (; i < a.length; i++) s0 += a[i] * b[i];
        return s0 + s1 + (s2 + s3);
    }
}
