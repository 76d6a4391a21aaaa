package dev.graft.tensor.op;

import static org.junit.jupiter.api.Assertions.assertEquals;

import org.junit.jupiter.api.Test;

class BoxMullerTest {
    private static final int COUNT = 200_000;

    @Test
    void theLogarithmIsTheOneOfTheJdkToFourUnitsInTheLastPlace() {
        for (double u : new double[] {1, 0x1p-53, Math.nextDown(1.0), 0.5, Math.sqrt(0.5), Math.nextDown(Math.sqrt(0.5))}) requireLn(u);
        for (int i = 0; i < COUNT; i++) {
            double u = 1 - Random.uniform(1, i);
            requireLn(u);
            requireLn(u * 0x1p-30);
        }
    }

    private static void requireLn(double u) {
        double want = Math.log(u);
        assertEquals(want, BoxMuller.ln(u), 4 * Math.ulp(want), () -> "ln " + u);
    }

    @Test
    void theCosineIsRightToFourUnitsOfOne() {
        for (double v : new double[] {0, 0.25, 0.5, 0.75, Math.nextDown(1.0)}) requireCosine(v);
        for (int i = 0; i < COUNT; i++) requireCosine(Random.uniform(2, i));
    }

    /// The JDK's on arguments that are exact, eighths of a turn apart from the whole one.
    private static void requireCosine(double v) {
        double eighths = Math.rint(8 * v);
        double rest = 2 * Math.PI * (v - eighths / 8);
        double want = Math.cos(rest) * Math.cos(eighths * Math.PI / 4) - Math.sin(rest) * Math.sin(eighths * Math.PI / 4);
        assertEquals(want, BoxMuller.cosine(v), 4 * Math.ulp(1.0), () -> "cos of " + v + " turns");
    }

    @Test
    void normalNumbersHaveTheMomentsOfTheLaw() {
        Random random = new Random(dev.graft.tensor.Spec.of(dev.graft.tensor.DType.F64, COUNT), Random.Law.NORMAL, 3);
        double[] sums = new double[4];
        for (int i = 0; i < COUNT; i++) {
            double x = random.value(i);
            for (int m = 0; m < 4; m++) sums[m] += Math.pow(x, m + 1) / COUNT;
        }
        double error = 5 / Math.sqrt(COUNT); // five standard deviations; those of the powers are 1, √2, √15, √96
        assertEquals(0, sums[0], error);
        assertEquals(1, sums[1], error * Math.sqrt(2));
        assertEquals(0, sums[2], error * Math.sqrt(15));
        assertEquals(3, sums[3], error * Math.sqrt(96));
    }
}
