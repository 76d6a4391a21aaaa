package dev.graft.tensor.cpu;

import static org.assertj.core.api.Assertions.assertThat;

import dev.graft.tensor.DType;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class WidenTest {
    /// In rows of 257, so that each pattern is met by the vector loop, by its tail, or by a transposed block.
    @ParameterizedTest
    @EnumSource(names = {"BF16", "F16"})
    void everyBitPatternOfAHalfIsWidenedExactly(DType type) {
        int rows = 256, cols = 257;
        MemorySegment halves = Arena.ofAuto().allocate(rows * cols * 2L, 64);
        for (int i = 0; i < rows * cols; i++) {
            halves.set(ValueLayout.JAVA_SHORT_UNALIGNED, i * 2L, (short) i);
        }
        Matrix m = Matrix.of(type, halves, 0, rows, cols, cols, 1);
        for (Matrix source : new Matrix[] {m, m.transposed()}) {
            MemorySegment wide = Arena.ofAuto().allocate(rows * cols * 4L, 64);
            try (Scratch scratch = Scratch.borrow()) {
                Pack.copy(source, 0, source.rows(), 0, source.cols(), wide, 0, source.cols() * 4L, scratch);
            }
            for (int i = 0; i < source.rows(); i++) {
                for (int j = 0; j < source.cols(); j++) {
                    short half = halves.get(ValueLayout.JAVA_SHORT_UNALIGNED, source.address(i, j));
                    float expected = type == DType.BF16 ? Float.intBitsToFloat(half << 16) : Float.float16ToFloat(half);
                    float got = wide.get(ValueLayout.JAVA_FLOAT_UNALIGNED, (i * (long) source.cols() + j) * 4);
                    assertThat(Float.floatToIntBits(got)).as("%s %04x", type, half).isEqualTo(Float.floatToIntBits(expected));
                }
            }
        }
    }

    @ParameterizedTest
    @EnumSource(names = {"BF16", "F16"})
    void aDotProductSeesEveryBitPatternOfAHalf(DType type) {
        int rows = 1 << 16, cols = 64;
        MemorySegment halves = Arena.ofAuto().allocate(rows * cols * 2L, 64);
        for (int i = 0; i < rows; i++) {
            halves.set(ValueLayout.JAVA_SHORT_UNALIGNED, (i * (long) cols + i % cols) * 2, (short) i);
        }
        MemorySegment ones = Arena.ofAuto().allocate(cols * 4L, 64), y = Arena.ofAuto().allocate(rows * 4L, 64);
        for (int i = 0; i < cols; i++) {
            ones.set(ValueLayout.JAVA_FLOAT_UNALIGNED, i * 4L, 1);
        }
        Gemm.multiply(Matrix.f32(ones, 0, 1, cols), Matrix.of(type, halves, 0, rows, cols, cols, 1).transposed(),
                Matrix.f32(y, 0, 1, rows));
        for (int i = 0; i < rows; i++) {
            float expected = type == DType.BF16 ? Float.intBitsToFloat(i << 16) : Float.float16ToFloat((short) i);
            float got = y.get(ValueLayout.JAVA_FLOAT_UNALIGNED, i * 4L);
            assertThat(Float.floatToIntBits(got + 0f)).as("%s %04x", type, i).isEqualTo(Float.floatToIntBits(expected + 0f)); // no -0
        }
    }
}
