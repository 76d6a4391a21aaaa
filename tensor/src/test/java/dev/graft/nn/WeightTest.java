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
    }

    @Test
    void whatIsNotFiniteIsRefused() {
        float[] values = new float[3 * 40];
        values[2 * 40 + 35] = Float.NaN;
        assertThatThrownBy(() -> Weight.Q8.of(Tensor.of(values, 3, 40))).isInstanceOf(TensorException.class)
                .hasMessageContaining("NaN or infinite");
    }
}
