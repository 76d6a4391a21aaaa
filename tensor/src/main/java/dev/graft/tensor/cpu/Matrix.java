package dev.graft.tensor.cpu;

import dev.graft.tensor.DType;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Objects;

/// A strided matrix in native memory: an operand of [Gemm].
///
/// ```
/// element (i, j) is at   offset + (i·rowStride + j·colStride)·type.bytes()      offset in bytes, strides in elements
/// ```
/// Int8 blocks carry their scales beside them, one float for 32 neighbours (Q8_0 of ggml, with the scales in an array of their own):
///
/// ```
/// value(i, j) = q[i, j]·scales[i, j/32]        q: [rows, cols] contiguous in j, scales: [rows, ⌈cols/32⌉]
/// ```
/// Transposing a matrix is swapping its strides; no memory moves.
///
/// @param segment native memory that every thread may touch (not a confined arena's), little-endian
/// @param scales for I8 the scales, else null
public record Matrix(MemorySegment segment, long offset, DType type, int rows, int cols, long rowStride, long colStride, Matrix scales) {
    /// Neighbours that share a scale.
    static final int BLOCK = 32;

    private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT_UNALIGNED;
    private static final ValueLayout.OfDouble DOUBLE = ValueLayout.JAVA_DOUBLE_UNALIGNED;
    private static final ValueLayout.OfShort SHORT = ValueLayout.JAVA_SHORT_UNALIGNED;

    public Matrix {
        Objects.requireNonNull(segment, "segment");
        Objects.requireNonNull(type, "type");
        if (!segment.isNative()) {
            // Not for lack of support: one heap segment slows the vector loops of this JVM for good, as their type profile is then mixed.
            throw new IllegalArgumentException("a matrix needs native memory, got a heap segment of " + segment.byteSize() + " bytes");
        }
        if (rows < 0 || cols < 0 || rowStride < 0 || colStride < 0 || offset < 0) {
            throw new IllegalArgumentException("sizes, strides and offset of a matrix must not be negative, got "
                    + describe(type, rows, cols, rowStride, colStride) + " at byte " + offset);
        }
        if (rows > 0 && cols > 0) {
            long end = offset + ((rows - 1) * rowStride + (cols - 1) * colStride + 1) * type.bytes();
            if (end > segment.byteSize()) {
                throw new IndexOutOfBoundsException(
                        "matrix " + describe(type, rows, cols, rowStride, colStride) + " at byte " + offset + " ends at byte " + end
                                + " of a segment of " + segment.byteSize());
            }
        }
        if ((type == DType.I8) != (scales != null)) {
            throw new IllegalArgumentException(
                    "int8 blocks need scales, and nothing else has them; got " + type + (scales == null ? " without" : " with"));
        }
        if (!type.isFloating() && type != DType.I8) {
            throw new IllegalArgumentException("a matrix holds f64, f32, bf16, f16 or int8 blocks, got " + type);
        }
        if (scales != null) {
            boolean along = scales.rows == rows && scales.cols == blocks(cols) && colStride == 1;
            boolean across = scales.cols == cols && scales.rows == blocks(rows) && rowStride == 1;
            if (scales.type != DType.F32 || !along && !across) {
                throw new IllegalArgumentException("scales of " + describe(type, rows, cols, rowStride, colStride) + " must be f32["
                        + rows + ", " + blocks(cols) + "], one for " + BLOCK + " contiguous elements, got " + scales);
            }
        }
    }

    /// A matrix of floating-point numbers.
    public static Matrix of(DType type, MemorySegment segment, long offset, int rows, int cols, long rowStride, long colStride) {
        return new Matrix(segment, offset, type, rows, cols, rowStride, colStride, null);
    }

    /// A row-major f32 matrix without gaps.
    public static Matrix f32(MemorySegment segment, long offset, int rows, int cols) {
        return of(DType.F32, segment, offset, rows, cols, cols, 1);
    }

    /// Int8 blocks `[rows, cols]` with their scales `f32[rows, ⌈cols/32⌉]`.
    public static Matrix int8(MemorySegment segment, long offset, int rows, int cols, long rowStride, Matrix scales) {
        return new Matrix(segment, offset, DType.I8, rows, cols, rowStride, 1, scales);
    }

    public Matrix transposed() {
        return new Matrix(segment, offset, type, cols, rows, colStride, rowStride, scales == null ? null : scales.transposed());
    }

    /// The value of one element, widened exactly.
    public double at(int i, int j) {
        long at = address(i, j);
        return switch (type) {
            case F64 -> segment.get(DOUBLE, at);
            case F32 -> segment.get(FLOAT, at);
            case BF16, F16, I8 -> floatAt(i, j);
            case I64, I32 -> throw new AssertionError(type);
        };
    }

    /// The value of one element of a type that fits into a float.
    float floatAt(int i, int j) {
        long at = address(i, j);
        return switch (type) {
            case F32 -> segment.get(FLOAT, at);
            case BF16 -> Float.intBitsToFloat(segment.get(SHORT, at) << 16);
            case F16 -> Float.float16ToFloat(segment.get(SHORT, at));
            case I8 -> segment.get(ValueLayout.JAVA_BYTE, at)
                    * (blocksRunAlongRows() ? scales.floatAt(i, j / BLOCK) : scales.floatAt(i / BLOCK, j));
            case F64, I64, I32 -> throw new AssertionError(type);
        };
    }

    /// Byte offset of element (i, j) in the segment.
    long address(int i, int j) {
        return offset + (i * rowStride + j * colStride) * type.bytes();
    }

    long rowBytes() {
        return rowStride * type.bytes();
    }

    /// Whether a row is contiguous, scales included.
    boolean hasPlainRows() {
        return colStride == 1 && (scales == null || blocksRunAlongRows());
    }

    /// Otherwise this is the transpose of such a matrix, and blocks run down its columns.
    private boolean blocksRunAlongRows() {
        return scales.rows == rows && scales.cols == blocks(cols);
    }

    private static int blocks(int n) {
        return Math.ceilDiv(n, BLOCK);
    }

    private static String describe(DType type, int rows, int cols, long rowStride, long colStride) {
        return type + "[" + rows + ", " + cols + "] with strides [" + rowStride + ", " + colStride + "]";
    }

    @Override
    public String toString() {
        return describe(type, rows, cols, rowStride, colStride);
    }
}
