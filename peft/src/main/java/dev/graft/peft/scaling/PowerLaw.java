package dev.graft.peft.scaling;

import java.util.List;
import java.util.Locale;
import java.util.function.DoubleUnaryOperator;

/// How loss falls with the number of a model's parameters, all else equal (nanoLM, Yao et al. 2023, arXiv:2304.06875).
///
/// ```
/// L(C) = a · C^b + c,  b < 0                fitted by least squares
/// ```
/// For each b the best a and c are a straight line's, so what is searched for is one number.
public record PowerLaw(double a, double b, double c) implements ScalingLaw {
    private static final double FLATTEST = 1e-3;
    private static final double STEEPEST = 10;
    private static final int GRID = 400;

    @Override
    public double at(List<Double> sizes, double d) {
        return a * Math.pow(sizes.getFirst(), b) + c;
    }

    /// The law nearest to these runs, of at least three sizes.
    public static PowerLaw fit(List<Measured> runs) {
        if (runs.stream().mapToDouble(Measured::x).distinct().count() < 3)
            throw new IllegalArgumentException("a power law with an offset has three numbers and needs runs of at least three sizes, got "
                    + runs.stream().mapToDouble(Measured::x).distinct().count());
        double unit = Math.exp(runs.stream().mapToDouble(r -> Math.log(r.x())).average().getAsDouble());   // sizes near 1, for the arithmetic's sake
        DoubleUnaryOperator error = logB -> squares(runs, unit, line(runs, unit, -Math.exp(logB)));
        double low = Math.log(FLATTEST);
        double step = Math.log(STEEPEST / FLATTEST) / GRID;
        int best = 0;
        for (int i = 1; i <= GRID; i++) if (error.applyAsDouble(low + i * step) < error.applyAsDouble(low + best * step)) best = i;
        PowerLaw scaled = line(runs, unit, -Math.exp(smallest(error, low + (best - 1) * step, low + (best + 1) * step)));
        return new PowerLaw(scaled.a * Math.pow(unit, -scaled.b), scaled.b, scaled.c);
    }

    /// The least-squares line of loss over `(C / unit)^b`.
    private static PowerLaw line(List<Measured> runs, double unit, double b) {
        double n = runs.size(), u = 0, y = 0, uu = 0, uy = 0;
        for (Measured r : runs) {
            double t = Math.pow(r.x() / unit, b);
            u += t / n;
            y += r.loss() / n;
        }
        for (Measured r : runs) {
            double t = Math.pow(r.x() / unit, b) - u;
            uu += t * t;
            uy += t * (r.loss() - y);
        }
        return new PowerLaw(uy / uu, b, y - uy / uu * u);
    }

    private static double squares(List<Measured> runs, double unit, PowerLaw law) {
        return runs.stream().mapToDouble(r -> law.at(r.x() / unit, 1) - r.loss()).map(e -> e * e).sum();
    }

    /// By golden sections.
    private static double smallest(DoubleUnaryOperator f, double from, double to) {
        double golden = (Math.sqrt(5) - 1) / 2;
        for (int i = 0; i < 100; i++) {
            double left = to - golden * (to - from);
            double right = from + golden * (to - from);
            if (f.applyAsDouble(left) < f.applyAsDouble(right)) to = right;
            else from = left;
        }
        return (from + to) / 2;
    }

    @Override
    public String toString() {
        return String.format(Locale.ROOT, "L(C) = %.5g · C^%.5g %s %.5g", a, b, c < 0 ? "−" : "+", Math.abs(c));
    }
}
