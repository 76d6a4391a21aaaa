package dev.graft.peft.scaling;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

/// Laws found again from what they made, and nanoLM's own losses.
class ScalingLawTest {
    private static final double[] MILLIONS = {8.82, 22.36, 40.61, 63.59, 91.28, 123.69, 160.82, 202.67};

    private static List<Measured> widths(double[] sizes, double... losses) {
        return IntStream.range(0, losses.length).mapToObj(i -> new Measured(sizes[i], 1, losses[i])).toList();
    }

    @Test
    void aPowerLawIsFoundAgain() {
        double[] sizes = {1e6, 2.5e6, 7e6, 2e7, 6e7, 1.5e8};
        for (PowerLaw made : List.of(new PowerLaw(11.2, -0.31, 1.7), new PowerLaw(4e3, -0.5, 0.9), new PowerLaw(1e6, -1, 3),
                new PowerLaw(2e15, -2.5, 0.1))) {
            PowerLaw found = PowerLaw.fit(IntStream.range(0, 6).mapToObj(i -> new Measured(sizes[i], 1, made.at(sizes[i], 1))).toList());
            assertThat(found.b()).isCloseTo(made.b(), within(1e-5 * -made.b()));
            assertThat(found.a()).isCloseTo(made.a(), within(1e-3 * made.a()));
            assertThat(found.c()).isCloseTo(made.c(), within(1e-5));
        }
    }

    /// Twelve layers, widths 128 … 1024, 7,000 and 20,000 steps: seven widths foretell the eighth, to less than a hundredth. The constants were also found by
    /// a search of their own, over a fine grid of b with NumPy's least squares.
    @Test
    void nanoLmsSevenWidthsForetellTheEighth() {
        List<Measured> early = widths(MILLIONS, 4.52, 4.25, 4.16, 4.10, 4.04, 4.01, 4.00, 3.98);
        List<Measured> late = widths(MILLIONS, 4.45, 4.2, 4.05, 3.94, 3.9, 3.87, 3.85, 3.84);
        assertFit(early, 2.0704, -0.5176, 3.8469, 3.9794);
        assertFit(late, 2.1256, -0.3803, 3.5273, 3.8093);
        assertThat(PowerLaw.fit(late).toString()).startsWith("L(C) = ").contains("· C^-");
    }

    private static void assertFit(List<Measured> runs, double a, double b, double c, double foretold) {
        PowerLaw law = PowerLaw.fit(runs.subList(0, 7));
        assertThat(law.a()).isCloseTo(a, within(2e-3));
        assertThat(law.b()).isCloseTo(b, within(1e-3));
        assertThat(law.c()).isCloseTo(c, within(2e-3));
        assertThat(law.at(202.67, 1)).isCloseTo(foretold, within(1e-4));
        assertThat(law.error(runs.subList(7, 8))).isLessThan(0.01);
        assertThat(law.error(runs.subList(0, 7))).isLessThan(0.005);
    }

    private static List<Measured> grid(JointLaw law, double noise, long seed) {
        Random random = new Random(seed);
        List<Measured> runs = new ArrayList<>();
        for (double x : new double[] {1e6, 4e6, 1.6e7, 6.4e7}) {
            for (double d : new double[] {300, 1000, 3000, 10_000}) {
                runs.add(new Measured(x, d, law.at(x, d) * Math.exp(noise * random.nextGaussian())));
            }
        }
        return runs;
    }

    @Test
    void aJointLawIsFoundAgain() {
        for (JointLaw made : List.of(new JointLaw(40, 0.15, 0.22, 0.8), new JointLaw(300, 0.3, 0.1, 0.3),
                new JointLaw(9, 0.04, 0.06, 1.1))) {
            JointLaw found = JointLaw.fit(grid(made, 0, 1));
            assertThat(found.alpha()).isCloseTo(made.alpha(), within(1e-4));
            assertThat(found.beta()).isCloseTo(made.beta(), within(1e-4));
            assertThat(found.e()).isCloseTo(made.e(), within(1e-3));
            assertThat(found.a()).isCloseTo(made.a(), within(2e-3 * made.a()));
            assertThat(found.error(grid(made, 0, 1))).isLessThan(1e-5);
        }
    }

    /// With noise of a thousandth the exponents are near; and a run that went astray moves them little, which least squares would not bear.
    @Test
    void noiseAndARunAstrayAreBorne() {
        JointLaw made = new JointLaw(40, 0.15, 0.22, 0.8);
        List<Measured> runs = new ArrayList<>(grid(made, 1e-3, 7));
        JointLaw noisy = JointLaw.fit(runs);
        assertThat(noisy.alpha()).isCloseTo(0.15, within(0.02));
        assertThat(noisy.beta()).isCloseTo(0.22, within(0.02));
        runs.set(5, new Measured(runs.get(5).x(), runs.get(5).d(), 3 * runs.get(5).loss()));
        JointLaw astray = JointLaw.fit(runs);
        assertThat(astray.alpha()).isCloseTo(0.15, within(0.03));
        assertThat(astray.beta()).isCloseTo(0.22, within(0.03));
        assertThat(astray.at(6.4e7, 10_000)).isCloseTo(made.at(6.4e7, 10_000), within(0.01));
    }

    @Test
    void severalSizesShareWhatDataDoes() {
        JointLaw made = new JointLaw(60, List.of(0.25, 0.04), 0.18, 0.7);
        List<Measured> runs = new ArrayList<>();
        for (double model : new double[] {2e5, 5e5, 9e5})
            for (double adapter : new double[] {1e3, 9e3, 8e4})
                for (double d : new double[] {800, 1600, 6400})
                    runs.add(new Measured(List.of(model, adapter), d, made.at(List.of(model, adapter), d)));
        assertThat(made.at(List.of(2e5, 1e3), 800)).isCloseTo(60 * Math.pow(2e5, -0.25) * Math.pow(1e3, -0.04) * Math.pow(800, -0.18) + 0.7,
                within(1e-12));
        JointLaw found = JointLaw.fit(runs);
        assertThat(found.alphas().get(0)).isCloseTo(0.25, within(1e-3));
        assertThat(found.alphas().get(1)).isCloseTo(0.04, within(1e-3));
        assertThat(found.beta()).isCloseTo(0.18, within(1e-3));
        assertThat(found.error(runs)).isLessThan(1e-5);
        assertThat(found.toString()).matches("L\\(X₁, X₂, D\\) = .* · X₁\\^-0.25\\d* · X₂\\^-0.04\\d* · D\\^-0.18\\d* \\+ 0.7\\d*");
    }

    @Test
    void tooFewRunsAreRefused() {
        assertThatThrownBy(() -> PowerLaw.fit(widths(MILLIONS, 4, 3))).hasMessageContaining("at least three sizes, got 2");
        assertThatThrownBy(() -> JointLaw.fit(widths(MILLIONS, 4, 3, 2, 1.5))).hasMessageContaining("got 4 runs, of 4 and 1");
        assertThatThrownBy(() -> new Measured(1, 1, Double.NaN)).hasMessage("a loss must be above 0 and finite, got NaN");
    }
}
