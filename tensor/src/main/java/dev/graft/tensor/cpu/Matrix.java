package dev.graft.tensor.cpu;

import dev.graft.tensor.DType;
import dev.graft.tensor.op.Nf4;
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
/// [Nf4] has two values a byte, and its blocks run on from row to row:
///
/// ```
/// value(i, j) = VALUE[code f]·absmax[f/64]        f = i·rowStride + j·colStride, in the upper half of byte offset + f/2 where f is even
/// ```
/// Transposing a matrix is swapping its strides; no memory moves.
///
/// @param segment native memory that every thread may touch (not a confined arena's), little-endian
/// @param type I8 for blocks of either kind
/// @param scales those of int8 blocks, else null
/// @param absmax the scales of NF4, else null
public record Matrix(MemorySegment segment, long offset, DType type, int rows, int cols, long rowStride, long colStride, Matrix scales,
        Absmax absmax) {
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
            long elements = (rows - 1) * rowStride + (cols - 1) * colStride + 1;
            long end = offset + (absmax == null ? elements * type.bytes() : Math.ceilDiv(elements, 2));
            if (end > segment.byteSize()) {
                throw new IndexOutOfBoundsException(
                        "matrix " + describe(type, rows, cols, rowStride, colStride) + " at byte " + offset + " ends at byte " + end
                                + " of a segment of " + segment.byteSize());
            }
        }
        if ((type == DType.I8) != (scales != null || absmax != null)) {
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
        return new Matrix(segment, offset, type, rows, cols, rowStride, colStride, null, null);
    }

    /// A row-major f32 matrix without gaps.
    public static Matrix f32(MemorySegment segment, long offset, int rows, int cols) {
        return of(DType.F32, segment, offset, rows, cols, cols, 1);
    }

    /// Int8 blocks `[rows, cols]` with their scales `f32[rows, ⌈cols/32⌉]`.
    public static Matrix int8(MemorySegment segment, long offset, int rows, int cols, long rowStride, Matrix scales) {
        return new Matrix(segment, offset, DType.I8, rows, cols, rowStride, 1, scales, null);
    }

    /// NF4 `[rows, cols]`, without gaps.
    public static Matrix nf4(MemorySegment segment, long offset, int rows, int cols, Absmax absmax) {
        return new Matrix(segment, offset, DType.I8, rows, cols, cols, 1, null, absmax);
    }

    public Matrix transposed() {
        return new Matrix(segment, offset, type, cols, rows, colStride, rowStride, scales == null ? null : scales.transposed(),
                absmax);
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
            case I8 -> absmax != null ? absmax.value(segment, offset, index(i, j)) : segment.get(ValueLayout.JAVA_BYTE, at)
                    * (blocksRunAlongRows() ? scales.floatAt(i, j / BLOCK) : scales.floatAt(i / BLOCK, j));
            case F64, I64, I32 -> throw new AssertionError(type);
        };
    }

    /// Byte offset of element (i, j) in the segment.
    long address(int i, int j) {
        return offset + (absmax == null ? index(i, j) * type.bytes() : index(i, j) / 2);
    }

    /// Elements before element (i, j).
    long index(int i, int j) {
        return i * rowStride + j * colStride;
    }

    /// Whether each row begins with a block and is made of whole ones, so that it can be read in place.
    boolean hasWholeBlocks() {
        return absmax == null ? scales == null || scales.hasPlainRows() : rowStride % Nf4.BLOCK == 0 && cols % Nf4.BLOCK == 0;
    }

    /// Bytes that n neighbours take, scales aside.
    long bytes(long n) {
        return absmax == null ? n * type.bytes() : n / 2;
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
