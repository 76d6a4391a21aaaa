package dev.graft.peft.method;

import dev.graft.tensor.Tensor;
import dev.graft.tensor.op.Random;
import java.util.Arrays;
import java.util.stream.IntStream;

/// Two thin matrices taken out of a large one, in double precision.
final class LowRank {
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
            Triplets t = Triplets.of(alpha, beta, k + 1);
            if (k + 1 == most || t.settled(rank, beta[k])) return t.spread(u, v, rank, scale);
            check = Math.min(most, check + check / 2);
        }
    }

    /// Singular triplets of a small bidiagonal matrix, the largest first.
    private record Triplets(double[][] p, double[] sigma, double[][] q) {
        /// Jacobi's method is at its end after six to ten.
        private static final int SWEEPS = 60;

        /// By Jacobi rotations of columns until all are orthogonal: B Q = P Σ.
        static Triplets of(double[] alpha, double[] beta, int n) {
            double[][] b = new double[n][n]; // columns
            double[][] q = new double[n][n];
            for (int j = 0; j < n; j++) {
                b[j][j] = alpha[j];
                if (j > 0) b[j][j - 1] = beta[j - 1];
                q[j][j] = 1;
            }
            boolean turned = true;
            for (int sweep = 0; turned && sweep < SWEEPS; sweep++) {
                turned = false;
                for (int i = 0; i < n; i++) {
                    for (int j = i + 1; j < n; j++) {
                        double aa = dot(b[i], b[i]);
                        double bb = dot(b[j], b[j]);
                        double ab = dot(b[i], b[j]);
                        if (Math.abs(ab) <= 1e-14 * Math.sqrt(aa * bb)) continue;
                        turned = true;
                        double zeta = (bb - aa) / (2 * ab);
                        double tan = Math.copySign(1, zeta) / (Math.abs(zeta) + Math.hypot(1, zeta));
                        double cos = 1 / Math.hypot(1, tan);
                        rotate(b[i], b[j], cos, cos * tan);
                        rotate(q[i], q[j], cos, cos * tan);
                    }
                }
            }
            int[] order = IntStream.range(0, n).boxed().sorted((i, j) -> Double.compare(dot(b[j], b[j]), dot(b[i], b[i]))).mapToInt(i -> i)
                    .toArray();
            double[] sigma = Arrays.stream(order).mapToDouble(i -> Math.sqrt(dot(b[i], b[i]))).toArray();
            double[][] p = new double[n][];
            for (int i = 0; i < n; i++) {
                double s = sigma[i];
                p[i] = s == 0 ? new double[n] : Arrays.stream(b[order[i]]).map(x -> x / s).toArray();
            }
            return new Triplets(p, sigma, Arrays.stream(order).mapToObj(i -> q[i]).toArray(double[][]::new));
        }

        /// Whether the first ones are triplets of W too: `‖Wᵀu − σv‖ = β |p_last|`.
        boolean settled(int rank, double beta) {
            for (int i = 0; i < rank; i++) if (beta * Math.abs(p[i][p.length - 1]) > 1e-10 * sigma[0]) return false;
            return true;
        }

        LowRank spread(double[][] u, double[][] v, int rank, double scale) {
            double[][] left = new double[rank][];
            double[][] right = new double[rank][];
            for (int i = 0; i < rank; i++) {
                double root = Math.sqrt(sigma[i] / scale);
                left[i] = combine(u, p[i], root);
                right[i] = combine(v, q[i], root);
            }
            return new LowRank(left, right);
        }
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
        for (int i = 0; i < out; i++) {
            double sum = 0;
            for (int j = 0; j < in; j++) sum += w[i * in + j] * x[j];
            y[i] = sum;
        }
        return y;
    }

    private static double[] timesTransposed(float[] w, int out, int in, double[] x) {
        double[] y = new double[in];
        for (int i = 0; i < out; i++) for (int j = 0; j < in; j++) y[j] += w[i * in + j] * x[i];
        return y;
    }

    private static double dot(double[] a, double[] b) {
        double sum = 0;
        for (int i = 0; i < a.length; i++) sum += a[i] * b[i];
        return sum;
    }
}
