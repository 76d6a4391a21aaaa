package dev.graft.nn;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;

import dev.graft.tensor.Backends;
import dev.graft.tensor.DType;
import dev.graft.tensor.Scope;
import dev.graft.tensor.Shape;
import dev.graft.tensor.Tensor;
import dev.graft.tensor.TensorException;
import dev.graft.tensor.op.Nf4Dequantize;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

class WeightTest {
    private Scope scope;

    @BeforeEach
    void open() {
        scope = Scope.open(Backends.named("cpu"));
    }

    @AfterEach
    void close() {
        scope.close();
    }

    @Test
    void eachBlockIsRoundedToItsOwnScale() {
        for (int k : new int[] {1, 31, 32, 33, 100}) {
            Tensor w = Tensor.randn(DType.F32, Shape.of(5, k), 1);
            Weight.Q8 q8 = Weight.Q8.of(w);
            int blocks = (k + 31) / 32;
            assertThat(q8.scale().shape()).isEqualTo(Shape.of(5, blocks));
            float[] values = w.toFloats();
            float[] stored = q8.dense().toFloats();
            float[] scale = q8.scale().toFloats();
            for (int i = 0; i < values.length; i++) {
                float s = scale[i / k * blocks + i % k / 32];
                assertThat(Math.abs(stored[i] - values[i])).isLessThanOrEqualTo(s * 0.5001f);
            }
            assertThat(q8.bytes()).isEqualTo(5L * k + 5L * blocks * 4);
        }
    }

    /// More than one chunk of rows, in each format that a checkpoint has.
    @Test
    void formatAndChunksDoNotShow() {
        Tensor half = Tensor.randn(DType.F32, Shape.of(4500, 1000), 2).to(DType.BF16);
        Weight.Q8 fromHalf = Weight.Q8.of(half);
        Weight.Q8 fromFloat = Weight.Q8.of(half.to(DType.F32));
        assertArrayEquals(fromFloat.q().toInts(), fromHalf.q().toInts());
        assertArrayEquals(fromFloat.scale().toFloats(), fromHalf.scale().toFloats());
        Weight.Q8 lastRows = Weight.Q8.of(half.slice(0, 4490, 4500));
        assertArrayEquals(lastRows.q().toInts(), fromHalf.q().slice(0, 4490, 4500).toInts());
    }

    @Test
    void largestOfEachBlockIsKeptAndZerosStayZero() {
        Weight.Q8 q8 = Weight.Q8.of(Tensor.of(new float[] {0, 0, 0, -254, 127, 1}, 2, 3));
        assertThat(q8.q().toInts()).containsExactly(0, 0, 0, -127, 64, 1);
        assertThat(q8.scale().toFloats()).containsExactly(0, 2);
        // The smallest number there is as the scale is far from 190/127 of it; no quotient may leave the byte and change its sign.
        assertThat(Weight.Q8.of(Tensor.of(new float[] {190 * Float.MIN_VALUE, -Float.MIN_VALUE}, 1, 2)).q().toInts()).containsExactly(127,
                -1);
    }

    @Test
    void whatIsNotFiniteIsRefused() {
        float[] values = new float[3 * 40];
        values[2 * 40 + 35] = Float.NaN;
        assertThatThrownBy(() -> Weight.Q8.of(Tensor.of(values, 3, 40))).isInstanceOf(TensorException.class)
                .hasMessageContaining("NaN or infinite");
    }

    /// Half the distance of the values, and where scales are quantised half the distance of their values too.
    @Test
    void nf4IsOffByHalfAStepAtMost() {
        for (int[] d : new int[][] {{1, 1}, {5, 13}, {5, 64}, {3, 100}, {300, 67}}) {
            Tensor w = Tensor.randn(DType.F32, Shape.of(d), 1);
            float[] values = w.toFloats();
            for (boolean nested : new boolean[] {false, true}) {
                Weight.Nf4 nf4 = Weight.Nf4.of(w, nested);
                assertThat(nf4.isNested()).isEqualTo(nested);
                assertThat(nf4.shape()).isEqualTo(w.shape());
                int blocks = (values.length + 63) / 64;
                assertThat(nf4.bytes()).isEqualTo((values.length + 1) / 2 + (nested ? blocks + (blocks + 255) / 256 * 4 + 4 : blocks * 4));
                float[] stored = nf4.dense().toFloats(),
                        absmax = Nf4Dequantize.absmax(nf4.parts().subList(1, nf4.parts().size())).toFloats();
                float spread = 0;
                for (int b = 0; b < blocks; b++) spread = Math.max(spread, max(values, b));
                for (int i = 0; i < values.length; i++) {
                    float max = max(values, i / 64);
                    if (!nested) assertThat(absmax[i / 64]).isEqualTo(max);
                    else assertThat(Math.abs(absmax[i / 64] - max)).isLessThanOrEqualTo(spread * 0.0071f); // steps of 9/640
                    float steps = 0.1519036f * max;                          // half of 1 - 0.6962, the widest
                    assertThat(Math.abs(stored[i] - values[i])).isLessThanOrEqualTo(steps + Math.abs(absmax[i / 64] - max) + 1e-6f);
                }
            }
        }
    }

    private static float max(float[] values, int block) {
        float max = 0;
        for (int i = 64 * block; i < Math.min(values.length, 64 * (block + 1)); i++) max = Math.max(max, Math.abs(values[i]));
        return max;
    }

    /// Worked by hand: the largest of a block is ±1 times its scale, and the codes of a byte come from the top.
    @Test
    void nf4ByHand() {
        float[] values = new float[66];
        values[0] = -4;
        values[1] = 1;                               // 0.25 of the largest: nearest is 0.2461, code 10
        values[2] = 2.9f;                            // 0.725: 0.7230, code 14
        values[65] = 0.5f;                           // alone in its block but for a zero
        Weight.Nf4 nf4 = Weight.Nf4.of(Tensor.of(values, 6, 11), false);
        int[] codes = nf4.parts().getFirst().toInts();
        assertThat(codes[0]).isEqualTo((byte) 0x0a);
        assertThat(codes[1]).isEqualTo((byte) 0xe7);
        assertThat(codes[2]).isEqualTo((byte) 0x77);
        assertThat(codes[32]).isEqualTo((byte) 0x7f);
        assertThat(nf4.parts().get(1).toFloats()).containsExactly(4, 0.5f);
        float[] scales = Nf4Dequantize.absmax(Weight.Nf4.of(Tensor.of(values, 6, 11)).parts().subList(1, 4)).toFloats();
        assertThat(scales[0]).isEqualTo(4);            // offset 2.25 and one step of 1.75 above
        assertThat(scales[1]).isEqualTo(2.25f - 0.99296875f * 1.75f);
    }

    @Test
    void nf4OfChunksAndFormatsIsTheSame() {
        Tensor half = Tensor.randn(DType.F32, Shape.of(4500, 1000), 2).to(DType.BF16);
        Weight.Nf4 fromHalf = Weight.Nf4.of(half), fromFloat = Weight.Nf4.of(half.to(DType.F32));
        for (int i = 0; i < 4; i++) assertArrayEquals(fromFloat.parts().get(i).toDoubles(), fromHalf.parts().get(i).toDoubles());
        Weight.Nf4 lastRows = Weight.Nf4.of(half.slice(0, 4496, 4500), false), all = Weight.Nf4.of(half, false); // 4496·1000 is 70,250 blocks
        assertArrayEquals(lastRows.dense().toFloats(), all.dense().slice(0, 4496, 4500).toFloats());
        Tensor turned = half.slice(0, 0, 100).transpose(0, 1);
        assertArrayEquals(Weight.Nf4.of(turned.contiguous()).dense().toFloats(), Weight.Nf4.of(turned).dense().toFloats());
    }

    @Test
    void nf4OfZerosIsZeroAndOfNothingFiniteRefused() {
        assertThat(Weight.Nf4.of(Tensor.zeros(DType.F32, 3, 50)).dense().toFloats()).containsOnly(0);
        float[] values = new float[120];
        values[100] = Float.NEGATIVE_INFINITY;
        assertThatThrownBy(() -> Weight.Nf4.of(Tensor.of(values, 3, 40))).hasMessageContaining("cannot be stored as nf4");
        values[100] = Float.NaN;
        assertThatThrownBy(() -> Weight.Nf4.of(Tensor.of(values, 3, 40))).hasMessageContaining("NaN or infinite");
        assertThatThrownBy(() -> Weight.Nf4.of(Tensor.zeros(DType.F32, 2, 3, 4)))
                .hasMessageContaining("only a matrix is stored as nf4, got f32[2, 3, 4]");
    }
}
