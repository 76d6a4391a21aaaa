package dev.graft.tensor.cpu;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.util.Random;
import jdk.incubator.vector.FloatVector;
import org.junit.jupiter.api.Test;

class LanesTest {
    /// Twenty thousand calls take the method from the interpreter through both compilers.
    @Test
    void aSumOfLanesHasTheSameBitsBeforeAndAfterCompilation() {
        assumeTrue(VectorWidth.isVector(), "this JVM runs without vectors (graft.vectorBits=0)");
        Random random = new Random(1);
        float[] v = new float[Lanes.LENGTH];
        for (int trial = 0; trial < 20_000; trial++) {
            for (int i = 0; i < v.length; i++) {
                v[i] = random.nextFloat(-1, 1);
            }
            assertThat(Lanes.sum(FloatVector.fromArray(Lanes.F32, v, 0))).isEqualTo(halving(v.clone()));
        }
    }

    private static float halving(float[] v) {
        for (int half = v.length / 2; half > 0; half /= 2) {
            for (int i = 0; i < half; i++) {
                v[i] += v[i + half];
            }
        }
        return v[0];
    }
}
