package dev.graft.tensor.cpu;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.graft.tensor.DType;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import org.junit.jupiter.api.Test;

class MatrixTest {
    private final MemorySegment memory = Arena.ofAuto().allocate(4096, 64);

    @Test
    void mustFitItsMemory() {
        assertThat(Matrix.f32(memory, 0, 32, 32).at(31, 31)).isZero();
        assertThatThrownBy(() -> Matrix.f32(memory, 4, 32, 32))
                .isInstanceOf(IndexOutOfBoundsException.class)
                .hasMessage("matrix f32[32, 32] with strides [32, 1] at byte 4 ends at byte 4100 of a segment of 4096");
        assertThat(Matrix.f32(memory, 4096, 0, 32).rows()).isZero();
    }

    @Test
    void mustLieOffTheHeap() {
        assertThatThrownBy(() -> Matrix.f32(MemorySegment.ofArray(new float[4]), 0, 2, 2))
                .hasMessageContaining("needs native memory, got a heap segment of 16 bytes");
    }

    @Test
    void holdsFloatingNumbersOrBlocks() {
        assertThatThrownBy(() -> Matrix.of(DType.I32, memory, 0, 2, 2, 2, 1))
                .hasMessageContaining("f64, f32, bf16, f16 or int8 blocks, got i32");
        assertThatThrownBy(() -> Matrix.of(DType.I8, memory, 0, 2, 2, 2, 1)).hasMessageContaining("int8 blocks need scales");
        assertThatThrownBy(() -> Matrix.int8(memory, 0, 2, 64, 64, Matrix.f32(memory, 0, 2, 3)))
                .hasMessageContaining("must be f32[2, 2], one for 32 contiguous elements, got f32[2, 3]");
    }

    /// The earlier value of a byte is in its upper half, and a block runs on from row to row.
    @Test
    void nf4HasTwoValuesAByte() {
        MemorySegment codes = Arena.ofAuto().allocateFrom(ValueLayout.JAVA_BYTE, new byte[33]);
        codes.set(ValueLayout.JAVA_BYTE, 0, (byte) 0xf0);                // 1, -1
        codes.set(ValueLayout.JAVA_BYTE, 31, (byte) 0x7f);               // elements 62 and 63 of 65
        codes.set(ValueLayout.JAVA_BYTE, 32, (byte) 0x07);               // element 64
        Absmax absmax = new Absmax(Arena.ofAuto().allocateFrom(ValueLayout.JAVA_FLOAT, 2, 8), 0, null, 0, 0);
        Matrix m = Matrix.nf4(codes, 0, 5, 13, absmax);
        assertThat(m.at(0, 0)).isEqualTo(2);
        assertThat(m.at(0, 1)).isEqualTo(-2);
        assertThat(m.at(4, 10)).isZero();
        assertThat(m.at(4, 11)).isEqualTo(2);
        assertThat(m.at(4, 12)).isEqualTo(-8);
        assertThat(m.transposed().at(12, 4)).isEqualTo(-8);
        assertThatThrownBy(() -> Matrix.nf4(codes, 0, 1, 67, absmax)).isInstanceOf(IndexOutOfBoundsException.class);
    }

    @Test
    void blocksKeepTheirScalesWhenTransposed() {
        MemorySegment q = Arena.ofAuto().allocate(2 * 40);
        for (int i = 0; i < 80; i++) {
            q.set(ValueLayout.JAVA_BYTE, i, (byte) i);
        }
        MemorySegment s = Arena.ofAuto().allocateFrom(ValueLayout.JAVA_FLOAT, 1, 2, 3, 4);
        Matrix m = Matrix.int8(q, 0, 2, 40, 40, Matrix.f32(s, 0, 2, 2));
        assertThat(m.at(0, 31)).isEqualTo(31);
        assertThat(m.at(0, 32)).isEqualTo(64);
        assertThat(m.at(1, 0)).isEqualTo(120);
        assertThat(m.at(1, 39)).isEqualTo(79 * 4);
        assertThat(m.transposed().at(32, 0)).isEqualTo(64);
        assertThat(m.transposed().at(39, 1)).isEqualTo(79 * 4);
        Matrix row = Matrix.int8(q, 0, 1, 40, 40, Matrix.f32(s, 0, 1, 2)), column = Matrix.int8(q, 0, 4, 1, 40 / 4, Matrix.f32(s, 0, 4, 1));
        assertThat(row.transposed().at(33, 0)).isEqualTo(66);
        assertThat(column.at(3, 0)).isEqualTo(120);
        assertThat(column.transposed().at(0, 3)).isEqualTo(120);
    }
}
