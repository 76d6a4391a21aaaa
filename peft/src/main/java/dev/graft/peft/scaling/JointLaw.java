package dev.graft.peft.scaling;

import java.util.List;
import java.util.Locale;
import java.util.stream.Collectors;
import java.util.stream.DoubleStream;
import java.util.stream.IntStream;

/// How the loss of fine-tuning falls with sizes and the amount of data together, as a product of powers (Zhang et al. 2024, arXiv:2402.17193).
///
/// ```
/// L(X, D) = A · X^(−α) · D^(−β) + E                    X: parameters of the model, or of the adapter; D: examples, steps or tokens
/// L(X₁, X₂, D) = A · X₁^(−α₁) · X₂^(−α₂) · D^(−β) + E   both at once, β being one for all sizes, as the paper has it
/// ```
/// Fitted by the Huber loss (δ = 10⁻³) of `ln L` foretold against measured, in `ln A, α, β, ln E`, from a grid of starts, the best of all; so that a run that went astray counts little.
///
/// @param alphas of each size
public record JointLaw(double a, List<Double> alphas, double beta, double e) implements ScalingLaw {
    private static final double DELTA = 1e-3;
    private static final double[] POWERS = {0.05, 0.2, 0.5, 1};
    private static final double[] FLOORS = {0.05, 0.5, 0.9};                     // E at the start, as a share of the smallest loss
    private static final int STEPS = 300;

    public JointLaw {
        alphas = List.copyOf(alphas);
        if (alphas.isEmpty()) throw new IllegalArgumentException("the joint law is of a size at least");
    }

    public JointLaw(double a, double alpha, double beta, double e) {
        this(a, List.of(alpha), beta, e);
    }

    /// Of the first size.
    public double alpha() {
        return alphas.getFirst();
    }

    @Override
    public double at(List<Double> sizes, double d) {
        double product = a * Math.pow(d, -beta);
        for (int i = 0; i < alphas.size(); i++) product *= Math.pow(sizes.get(i), -alphas.get(i));
        return product + e;
    }

    /// The law nearest to these runs, of at least two values of each size and two amounts of data.
    public static JointLaw fit(List<Measured> runs) {
        int sizes = runs.stream().mapToInt(r -> r.sizes().size()).max().orElse(1), numbers = sizes + 3;
        if (runs.stream().anyMatch(r -> r.sizes().size() != sizes)) throw new IllegalArgumentException("all runs must have the same sizes");
        List<double[]> factors = runs.stream().map(JointLaw::factors).toList();
        List<Long> distinct = IntStream.rangeClosed(0, sizes).mapToObj(i -> factors.stream().mapToDouble(f -> f[i]).distinct().count())
                .toList();
        if (distinct.stream().anyMatch(n -> n < 2) || runs.size() < numbers)
            throw new IllegalArgumentException(
                    "the joint law has %d numbers and needs at least as many runs, of two values of each size and two amounts of data; got %d runs, of %s and %d"
                            .formatted(numbers, runs.size(),
                                    distinct.subList(0, sizes).stream().map(String::valueOf).collect(Collectors.joining(", ")),
                                    distinct.getLast()));
        double[] means = IntStream.rangeClosed(0, sizes)
                .mapToDouble(i -> factors.stream().mapToDouble(f -> f[i]).average().getAsDouble()).toArray();
        List<double[]> points = factors.stream()
                .map(f -> IntStream.range(0, f.length).mapToDouble(i -> i <= sizes ? f[i] - means[i] : f[i]).toArray()).toList();
        double[] best = null;
        for (double[] powers : grid(sizes + 1)) {
            for (double floor : FLOORS) {
                double[] found = descend(points, start(points, powers, floor));
                if (best == null || error(points, found) < error(points, best)) best = found;
            }
        }
        double logA = best[0];
        for (int i = 0; i <= sizes; i++) logA += best[1 + i] * means[i];
        return new JointLaw(Math.exp(logA), DoubleStream.of(best).skip(1).limit(sizes).boxed().toList(), best[1 + sizes],
                Math.exp(best[2 + sizes]));
    }

    /// ln X of each size, ln D, ln L.
    private static double[] factors(Measured r) {
        return DoubleStream.concat(r.sizes().stream().mapToDouble(Double::doubleValue), DoubleStream.of(r.d(), r.loss())).map(Math::log)
                .toArray();
    }

    /// All ways to give so many factors a power each.
    private static List<double[]> grid(int factors) {
        List<double[]> all = List.of(new double[0]);
        for (int i = 0; i < factors; i++)
            all = all.stream().flatMap(known -> DoubleStream.of(POWERS)
                    .mapToObj(p -> DoubleStream.concat(DoubleStream.of(known), DoubleStream.of(p)).toArray())).toList();
        return all;
    }

    private static double[] start(List<double[]> points, double[] powers, double floor) {
        int last = powers.length;
        double e = floor * Math.exp(points.stream().mapToDouble(p -> p[last]).min().getAsDouble());
        double a = points.stream().mapToDouble(p -> Math.log(Math.exp(p[last]) - e) + dot(powers, 0, p)).average().getAsDouble();
        return DoubleStream.concat(DoubleStream.concat(DoubleStream.of(a), DoubleStream.of(powers)), DoubleStream.of(Math.log(e)))
                .toArray();
    }

    /// Powers, from a place on, times the logarithms of a run's sizes and data.
    private static double dot(double[] powers, int from, double[] point) {
        double sum = 0;
        for (int i = 0; i < point.length - 1; i++) sum += powers[from + i] * point[i];
        return sum;
    }

    /// `ln L` of the law `(ln A, α …, β, ln E)`, and the share of its power term.
    private static double[] predict(double[] law, double[] point) {
        double power = law[0] - dot(law, 1, point), floor = law[law.length - 1];
        double most = Math.max(power, floor);
        double log = most + Math.log(Math.exp(power - most) + Math.exp(floor - most));
        return new double[] {log, Math.exp(power - log)};
    }

    private static double error(List<double[]> points, double[] law) {
        double sum = 0;
        for (double[] p : points) {
            double r = Math.abs(predict(law, p)[0] - p[p.length - 1]);
            sum += r <= DELTA ? r * r / 2 : DELTA * (r - DELTA / 2);
        }
        return sum;
    }

    /// Levenberg and Marquardt's way down; a residual beyond δ weighs δ / |r|, which makes squares of the Huber loss.
    private static double[] descend(List<double[]> points, double[] start) {
        int n = start.length;
        double[] law = start;
        double error = error(points, law);
        double damping = 1e-3;
        for (int step = 0; step < STEPS && damping < 1e12; step++) {
            double[][] system = new double[n][n + 1];
            for (double[] p : points) {
                double[] predicted = predict(law, p);
                double r = predicted[0] - p[n - 2];
                double weight = Math.min(1, DELTA / Math.abs(r));
                double share = predicted[1];
                double[] slope = new double[n];
                slope[0] = share;
                for (int i = 1; i < n - 1; i++) slope[i] = -share * p[i - 1];
                slope[n - 1] = 1 - share;
                for (int i = 0; i < n; i++) {
                    for (int j = 0; j < n; j++) system[i][j] += weight * slope[i] * slope[j];
                    system[i][n] -= weight * slope[i] * r;
                }
            }
            for (int i = 0; i < n; i++) system[i][i] += damping * (system[i][i] + 1e-12);
            double[] move = solve(system);
            double[] next = new double[n];
            for (int i = 0; i < n; i++) next[i] = law[i] + move[i];
            double then = error(points, next);
            if (then < error) {
                if (error - then <= 1e-15 * error) return next;
                law = next;
                error = then;
                damping /= 5;
            } else {
                damping *= 4;
            }
        }
        return law;
    }

    /// Gauss's elimination, the largest pivot first; the last column is the right-hand side.
    private static double[] solve(double[][] s) {
        int n = s.length;
        for (int i = 0; i < n; i++) {
            int pivot = i;
            for (int k = i + 1; k < n; k++) if (Math.abs(s[k][i]) > Math.abs(s[pivot][i])) pivot = k;
            double[] row = s[pivot];
            s[pivot] = s[i];
            s[i] = row;
            for (int k = i + 1; k < n; k++) {
                double factor = s[k][i] / row[i];
                for (int j = i; j <= n; j++) s[k][j] -= factor * row[j];
            }
        }
        double[] x = new double[n];
        for (int i = n - 1; i >= 0; i--) {
            double sum = s[i][n];
            for (int j = i + 1; j < n; j++) sum -= s[i][j] * x[j];
            x[i] = sum / s[i][i];
        }
        return x;
    }

    @Override
    public String toString() {
        List<String> names = IntStream.range(0, alphas.size()).mapToObj(i -> alphas.size() == 1 ? "X" : "X" + (char) ('₁' + i)).toList();
        String powers = IntStream.range(0, alphas.size())
                .mapToObj(i -> String.format(Locale.ROOT, "%s^%.5g · ", names.get(i), -alphas.get(i)))
                .collect(Collectors.joining());
        return String.format(Locale.ROOT, "L(%s, D) = %.5g · %sD^%.5g + %.5g", String.join(", ", names), a, powers, -beta, e);
    }
}
