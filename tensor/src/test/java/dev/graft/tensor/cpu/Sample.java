package dev.graft.tensor.cpu;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.graft.tensor.DType;
import dev.graft.tensor.op.Nf4;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.random.RandomGenerator;

/// Matrices for tests of the product: small whole numbers, so that every sum of theirs is exact in f32 and in any order, and a result is
/// right or wrong.
final class Sample {
    /// How a matrix lies in memory. The gaps hold NaN.
    enum Layout {
        ROWS,
        COLUMNS,
        GAPPED_ROWS,
        GAPPED_COLUMNS,
        SCATTERED
    }

    private static final int GUARD_BYTES = 256;

    private Sample() {}

    /// A matrix whose gaps and surroundings are poisoned, itself included.
    static Matrix poisoned(DType type, int rows, int cols, Layout layout) {
        int gap = layout == Layout.ROWS || layout == Layout.COLUMNS ? 0 : 5;
        int inner = layout == Layout.SCATTERED ? 3 : 1;
        boolean byColumns = layout == Layout.COLUMNS || layout == Layout.GAPPED_COLUMNS;
        long lead = (long) inner * (byColumns ? rows : cols) + gap;
        long elements = lead * (byColumns ? cols : rows) + inner;
        long offset = GUARD_BYTES + (gap == 0 ? 0 : 3L * type.bytes());
        MemorySegment memory = Arena.ofAuto().allocate(offset + elements * type.bytes() + GUARD_BYTES, 64).fill((byte) 0xff);
        return Matrix.of(type, memory, offset, rows, cols, byColumns ? inner : lead, byColumns ? lead : inner);
    }

    /// Whole numbers from -4 to 4.
    static Matrix whole(DType type, int rows, int cols, Layout layout, RandomGenerator random) {
        if (type == DType.I8) {
            boolean gapless = layout == Layout.ROWS || layout == Layout.COLUMNS;
            return gapless && random.nextBoolean() ? nf4(rows, cols, layout, random) : blocks(rows, cols, layout, random);
        }
        Matrix m = poisoned(type, rows, cols, layout);
        for (int i = 0; i < rows; i++) {
            for (int j = 0; j < cols; j++) {
                set(m, i, j, random.nextInt(-4, 5));
            }
        }
        return m;
    }

    /// Numbers of which sums are rounded.
    static Matrix rough(int rows, int cols, Layout layout, RandomGenerator random) {
        Matrix m = poisoned(DType.F32, rows, cols, layout);
        for (int i = 0; i < rows; i++) {
            for (int j = 0; j < cols; j++) {
                set(m, i, j, random.nextFloat(-1, 1));
            }
        }
        return m;
    }

    /// Int8 blocks with scales of 1/2, 1 or 2, along rows or (by columns) down columns.
    private static Matrix blocks(int rows, int cols, Layout layout, RandomGenerator random) {
        boolean down = layout == Layout.COLUMNS || layout == Layout.GAPPED_COLUMNS;
        if (down) {
            return blocks(cols, rows, layout == Layout.COLUMNS ? Layout.ROWS : Layout.GAPPED_ROWS, random).transposed();
        }
        Matrix scales = poisoned(DType.F32, rows, Math.ceilDiv(cols, 32), layout);
        for (int i = 0; i < scales.rows(); i++) {
            for (int j = 0; j < scales.cols(); j++) {
                set(scales, i, j, 0.5 * (1 << random.nextInt(3)));
            }
        }
        long row = cols + (layout == Layout.ROWS ? 0 : 7);
        MemorySegment memory = Arena.ofAuto().allocate(rows * row + 64, 64).fill((byte) 0x7f);
        for (int i = 0; i < rows; i++) {
            for (int j = 0; j < cols; j++) {
                memory.set(ValueLayout.JAVA_BYTE, 3 + i * row + j, (byte) random.nextInt(-4, 5));
            }
        }
        return Matrix.int8(memory, 3, rows, cols, row, scales);
    }

    /// NF4 of -1, 0 and 1 with scales of 1, 2 or 4, as floats or quantised themselves; by columns its transpose.
    static Matrix nf4(int rows, int cols, Layout layout, RandomGenerator random) {
        if (layout == Layout.COLUMNS) return nf4(cols, rows, Layout.ROWS, random).transposed();
        long values = (long) rows * cols;
        int blocks = (int) Math.ceilDiv(values, Nf4.BLOCK), guard = 3;
        MemorySegment codes = Arena.ofAuto().allocate(guard + Math.ceilDiv(values, 2), 64);
        for (long i = 0; i < Math.ceilDiv(values, 2); i++) {
            int[] whole = {0, 7, 15};
            codes.set(ValueLayout.JAVA_BYTE, guard + i, (byte) (whole[random.nextInt(3)] << 4 | whole[random.nextInt(3)]));
        }
        Absmax absmax;
        if (random.nextBoolean()) {
            MemorySegment floats = Arena.ofAuto().allocate(blocks * 4L + 1, 64);
            for (int b = 0; b < blocks; b++) floats.set(ValueLayout.JAVA_FLOAT_UNALIGNED, 1 + b * 4L, 1 << random.nextInt(3));
            absmax = new Absmax(floats, 1, null, 0, 0);
        } else {
            MemorySegment bytes = Arena.ofAuto().allocate(blocks + 1, 64);
            int groups = Math.ceilDiv(blocks, Nf4.NESTED_BLOCK);
            MemorySegment nested = Arena.ofAuto().allocate(groups * 4L + 2, 64);
            for (int b = 0; b < blocks; b++) bytes.set(ValueLayout.JAVA_BYTE, 1 + b, (byte) (random.nextBoolean() ? 255 : 127)); // 1 and 0
            for (int g = 0; g < groups; g++) nested.set(ValueLayout.JAVA_FLOAT_UNALIGNED, 2 + g * 4L, random.nextBoolean() ? 1 : 3);
            absmax = new Absmax(bytes, 1, nested, 2, 1);
        }
        return Matrix.nf4(codes, guard, rows, cols, absmax);
    }

    static void set(Matrix m, int i, int j, double v) {
        long at = m.address(i, j);
        switch (m.type()) {
            case F64 -> m.segment().set(ValueLayout.JAVA_DOUBLE_UNALIGNED, at, v);
            case F32 -> m.segment().set(ValueLayout.JAVA_FLOAT_UNALIGNED, at, (float) v);
            case BF16 -> m.segment().set(ValueLayout.JAVA_SHORT_UNALIGNED, at, (short) (Float.floatToRawIntBits((float) v) >>> 16));
            case F16 -> m.segment().set(ValueLayout.JAVA_SHORT_UNALIGNED, at, Float.floatToFloat16((float) v));
            case I8, I32, I64 -> throw new AssertionError(m.type());
        }
    }

    /// What the product should be, by three plain loops in double.
    static double[][] expected(Matrix a, Matrix b, Matrix before, Epilogue epilogue) {
        int m = a.rows(), n = b.cols(), k = a.cols();
        double[][] rows = values(a), columns = values(b.transposed()), c = values(before);
        for (int i = 0; i < m; i++) {
            for (int j = 0; j < n; j++) {
                double sum = 0;
                for (int l = 0; l < k; l++) {
                    sum += rows[i][l] * columns[j][l];
                }
                double bias = epilogue.bias() == null ? 0 : epilogue.bias().at(0, j);
                c[i][j] = epilogue.alpha() * sum + bias + (epilogue.accumulate() ? c[i][j] : 0);
            }
        }
        return c;
    }

    static double[][] values(Matrix m) {
        double[][] v = new double[m.rows()][m.cols()];
        for (int i = 0; i < m.rows(); i++) {
            for (int j = 0; j < m.cols(); j++) {
                v[i][j] = m.at(i, j);
            }
        }
        return v;
    }

    /// That every element is as expected and every byte that is not an element is untouched.
    static void assertHolds(Matrix c, double[][] expected, double tolerance, String what) {
        for (int i = 0; i < c.rows(); i++) {
            for (int j = 0; j < c.cols(); j++) {
                double got = c.at(i, j);
                if (!(Math.abs(got - expected[i][j]) <= tolerance)) {
                    assertThat(got).as("%s at (%d, %d)", what, i, j).isCloseTo(expected[i][j], within(tolerance));
                }
            }
        }
        MemorySegment rest = Arena.ofAuto().allocate(c.segment().byteSize()).copyFrom(c.segment());
        for (int i = 0; i < c.rows(); i++) {
            for (int j = 0; j < c.cols(); j++) {
                rest.asSlice(c.address(i, j), c.type().bytes()).fill((byte) 0xff);
            }
        }
        MemorySegment untouched = Arena.ofAuto().allocate(rest.byteSize()).fill((byte) 0xff);
        assertThat(rest.mismatch(untouched)).as("%s: first byte written outside of the result", what).isEqualTo(-1);
    }
}
