package dev.graft.tensor.op;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.graft.tensor.DType;
import dev.graft.tensor.Scope;
import dev.graft.tensor.Shape;
import dev.graft.tensor.ShapeException;
import dev.graft.tensor.Spec;
import dev.graft.tensor.Tensor;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.stream.DoubleStream;
import org.junit.jupiter.api.Test;

class Nf4Test {
    private static final float[] VALUES = Nf4.values();

    /// The paper's construction: quantiles of the normal distribution at evenly spaced probabilities, eight above the middle and seven below.
    @Test
    void valuesAreQuantilesOfTheNormalDistribution() {
        double offset = ((1 - 1 / 30.0) + (1 - 1 / 32.0)) / 2, largest = quantile(offset);
        for (int i = 0; i < 8; i++) {
            double p = 0.5 + (offset - 0.5) * (i + 1) / 8;
            assertThat(VALUES[8 + i]).isCloseTo((float) (quantile(p) / largest), within(2e-7f));
        }
        for (int i = 0; i < 7; i++) {
            double p = 0.5 + (offset - 0.5) * (i + 1) / 7;
            assertThat(VALUES[6 - i]).isCloseTo((float) (-quantile(p) / largest), within(2e-7f));
        }
        assertThat(VALUES[7]).isZero();
        assertThat(VALUES).isSorted();
    }

    /// Each value is its own code, and midway between neighbours the code changes: on the threshold it is still the lower one.
    @Test
    void codesChangeMidwayBetweenValues() {
        for (int i = 0; i < 16; i++) assertThat(Nf4.code(VALUES[i])).isEqualTo(i);
        for (int i = 0; i < 15; i++) {
            float middle = (float) (((double) VALUES[i] + VALUES[i + 1]) / 2);
            assertThat(Nf4.code(middle - 1e-6f)).isEqualTo(i);
            assertThat(Nf4.code(middle + 1e-6f)).isEqualTo(i + 1);
        }
        assertThat(Nf4.code(0.03979014977812767f)).isEqualTo(7);
        assertThat(Nf4.code(Math.nextUp(0.03979014977812767f))).isEqualTo(8);
        assertThat(Nf4.code(-0.8480964004993439f)).isZero();
        assertThat(Nf4.code(0.8614784178118011f)).isEqualTo(14);
    }

    /// Worked by hand: of the smallest two decades one and two values, of the largest 64; all but 0 and 1 with both signs.
    @Test
    void dynamicMapIsDenseNearZero() {
        float[] map = Nf4.dynamicValues();
        assertThat(map).hasSize(256).isSorted();
        assertThat(map[127]).isZero();
        assertThat(List.of(map[128], map[129], map[130], map[131])).isEqualTo(List.of(5.5e-7f, 3.25e-6f, 7.75e-6f, 2.125e-5f));
        assertThat(map[255]).isEqualTo(1);
        assertThat(map[254]).isEqualTo(0.99296875f);
        assertThat(map[0]).isEqualTo(-0.99296875f);
        for (int i = 0; i < 127; i++) assertThat(map[i]).isEqualTo(-map[254 - i]);
        assertThat(DoubleStream.of(map(map)).filter(v -> v > 0.1 && v < 1).count()).isEqualTo(64);
    }

    @Test
    void dynamicCodeIsThatOfTheNearestValue() {
        float[] map = Nf4.dynamicValues();
        for (float v = -1.1f; v < 1.1f; v += 0.00037f) {
            float best = Float.MAX_VALUE;
            for (float m : map) best = Math.min(best, Math.abs(m - v));
            assertThat(Math.abs(map[Nf4.dynamicCode(v)] - v)).isEqualTo(best);
        }
        for (int i = 0; i < 256; i++) assertThat(Nf4.dynamicCode(map[i])).isEqualTo(i);
    }

    /// 65 values: the second block has one, in the upper half of the last byte.
    @Test
    void dequantisesByHand() {
        byte[] codes = new byte[33];
        codes[0] = (byte) 0x0f;
        codes[31] = (byte) 0x8e;
        codes[32] = (byte) 0x67;
        try (var _ = Scope.open()) {
            Tensor packed = Tensor.of(MemorySegment.ofArray(codes), Spec.of(DType.I8, 33));
            float[] w = new Nf4Dequantize(5, 13).apply(packed, Tensor.of(new float[] {2, 10})).toFloats();
            assertThat(w[0]).isEqualTo(-2);
            assertThat(w[1]).isEqualTo(2);
            assertThat(w[2]).isEqualTo(-2);
            assertThat(w[62]).isEqualTo(2 * 0.07958029955625534f);
            assertThat(w[63]).isEqualTo(2 * 0.7229568362236023f);
            assertThat(w[64]).isEqualTo(10 * -0.09105003625154495f);
            // absmax = map[255]·3 + 0.5 and map[254]·3 + 0.5
            Tensor bytes = Tensor.of(MemorySegment.ofArray(new byte[] {-1, -2}), Spec.of(DType.I8, 2));
            float[] nested = new Nf4Dequantize(65, 1).apply(packed, bytes, Tensor.of(new float[] {3}), Tensor.scalar(DType.F32, 0.5))
                    .toFloats();
            assertThat(nested[1]).isEqualTo(3.5f);
            assertThat(nested[64]).isCloseTo(-0.09105003625154495f * (0.99296875f * 3 + 0.5f), within(1e-7f));
        }
    }

    @Test
    void saysWhichPartOfAWeightIsWrong() {
        try (var _ = Scope.open()) {
            Tensor x = Tensor.zeros(DType.F32, 2, 13), codes = Tensor.zeros(Spec.of(DType.I8, 33)),
                    absmax = Tensor.zeros(DType.F32, 2), bytes = Tensor.zeros(Spec.of(DType.I8, 2));
            Nf4MatMul op = new Nf4MatMul(5, 13, true);
            assertThat(op.apply(x, codes, absmax).shape()).isEqualTo(Shape.of(2, 5));
            assertThatThrownBy(() -> op.apply(x, bytes, absmax)).isInstanceOf(ShapeException.class)
                    .hasMessageContaining("codes must be i8 [33]");
            assertThatThrownBy(() -> op.apply(x, codes, codes)).hasMessageContaining("absmax must be f32 [2], one for 64 values");
            assertThatThrownBy(() -> op.apply(x, codes, Tensor.of(new int[] {2, 10}))).hasMessageContaining("absmax must be f32 [2]");
            assertThatThrownBy(() -> op.apply(x, codes, bytes, absmax, Tensor.scalar(DType.F32, 1)))
                    .hasMessageContaining("nested must be f32 [1]");
            assertThatThrownBy(() -> op.apply(absmax, codes, absmax)).hasMessageContaining("the last axis of x must be 13");
        }
    }

    private static double[] map(float[] values) {
        double[] wide = new double[values.length];
        for (int i = 0; i < wide.length; i++) wide[i] = values[i];
        return wide;
    }

    /// Where the normal distribution function is p, by bisection on a series for it.
    private static double quantile(double p) {
        double low = 0, high = 4;
        while (high - low > 1e-13) {
            double middle = (low + high) / 2, term = middle, sum = middle;
            for (int i = 1; i < 200; i++) sum += term *= middle * middle / (2 * i + 1);
            if (0.5 + sum * Math.exp(-middle * middle / 2) / Math.sqrt(2 * Math.PI) < p) low = middle;
            else high = middle;
        }
        return low;
    }
}
