package dev.graft.tensor.cpu;

import dev.graft.tensor.DType;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/// Copies a block of a matrix to rows of floats, whatever its type and strides.
///
/// ```
/// to[i, j] = m[row + i, col + j]      i < rows, j < cols
/// ```
/// This is where weights are widened and where a transposed operand is transposed: once a block, for some hundred uses of each number.
final class Pack {
    private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT_UNALIGNED;
    private static final Kernels KERNELS = Gemm.KERNELS;

    private Pack() {}

    static void copy(Matrix m, int row, int rows, int col, int cols, MemorySegment to, long too, long toRow, Scratch scratch) {
        if (m.hasPlainRows()) {
            plain(m, row, rows, col, cols, to, too, toRow);
            return;
        }
        Matrix t = m.transposed();
        if (t.hasPlainRows()) {
            transposed(t, col, cols, row, rows, to, too, toRow, scratch);
        } else {
            oneByOne(m, row, rows, col, cols, to, too, toRow);
        }
    }

    private static void plain(Matrix m, int row, int rows, int col, int cols, MemorySegment to, long too, long toRow) {
        if (m.absmax() != null) {
            for (int i = 0; i < rows; i++)
                KERNELS.widenNf4(m.segment(), m.offset(), m.index(row + i, col), m.absmax(), to, too + i * toRow, cols);
        } else if (m.type() != DType.I8) {
            KERNELS.widen(m.type(), m.segment(), m.address(row, col), m.rowBytes(), to, too, toRow, rows, cols);
        } else if (m.scales().hasPlainRows()) {
            Matrix s = m.scales();
            int block = col / Matrix.BLOCK, first = col % Matrix.BLOCK;
            for (int i = 0; i < rows; i++) {
                KERNELS.widenBlocks(m.segment(), m.address(row + i, col), first, s.segment(), s.address(row + i, block), to,
                        too + i * toRow, cols);
            }
        } else {
            oneByOne(m, row, rows, col, cols, to, too, toRow);
        }
    }

    /// `to[j, i] = m[row + i, col + j]`, m having plain rows.
    private static void transposed(Matrix m, int row, int rows, int col, int cols, MemorySegment to, long too, long toRow,
            Scratch scratch) {
        if (m.type() == DType.F32) {
            transposed(m.segment(), m.address(row, col), m.rowBytes(), rows, cols, to, too, toRow);
            return;
        }
        MemorySegment stage = scratch.stage();
        for (int j = 0; j < cols; j += Scratch.STAGE_COLS) {
            int width = Math.min(Scratch.STAGE_COLS, cols - j);
            for (int i = 0; i < rows; i += Scratch.STAGE_ROWS) {
                int height = Math.min(Scratch.STAGE_ROWS, rows - i);
                plain(m, row + i, height, col + j, width, stage, 0, Scratch.STAGE_ROW);
                transposed(stage, 0, Scratch.STAGE_ROW, height, width, to, too + j * toRow + i * 4L, toRow);
            }
        }
    }

    private static void transposed(MemorySegment from, long fo, long fromRow, int rows, int cols, MemorySegment to, long too, long toRow) {
        int lanes = KERNELS.lanes();
        if (rows < lanes || cols < lanes) {
            for (int j = 0; j < cols; j++) {
                for (int i = 0; i < rows; i++) {
                    to.set(FLOAT, too + j * toRow + i * 4L, from.get(FLOAT, fo + i * fromRow + j * 4L));
                }
            }
            return;
        }
        for (int j = 0; j < cols; j += lanes) {
            int c = Math.min(j, cols - lanes); // the last block of a row of blocks may overlap the one before
            for (int i = 0; i < rows; i += lanes) {
                int r = Math.min(i, rows - lanes);
                KERNELS.transpose(from, fo + r * fromRow + c * 4L, fromRow, to, too + c * toRow + r * 4L, toRow);
            }
        }
    }

    private static void oneByOne(Matrix m, int row, int rows, int col, int cols, MemorySegment to, long too, long toRow) {
        for (int i = 0; i < rows; i++) {
            for (int j = 0; j < cols; j++) {
                to.set(FLOAT, too + i * toRow + j * 4L, m.floatAt(row + i, col + j));
            }
        }
    }
}
