package dev.graft.tensor.cpu;

import dev.graft.tensor.DType;
import java.lang.foreign.MemorySegment;

/// What one vector width contributes to matrix products: the innermost loops, on blocks of fixed size. How a product is cut into
/// such blocks is the same for all widths: [Gemm], [Gemv], [Pack].
///
/// All memory is native but for the tile of sums; offsets and rows are in bytes.
sealed interface Kernels permits VectorKernels, ScalarKernels {
    /// Contraction steps that a packed block holds. Long, so that the sums visit C once or twice only: its rows are far apart and miss
    /// the cache.
    int KC = 2048;

    /// Bytes from one row of packed A to the next. A constant, so that the rows of a tile are constant offsets from one another; 64 bytes
    /// off a multiple of 4096, so that the rows do not fall on the same cache sets.
    int A_ROW = (KC + 16) * 4;

    /// Columns that [#dots] and [#dots4x4] go forward by.
    int DOT_STEP = 32;

    /// Rows of [#tileF64].
    int TILE_ROWS_F64 = 4;

    /// Rows that a tile has at most.
    int tileRows();

    /// Columns of a tile.
    int tileCols();

    /// Floats in a vector: [#transpose] moves blocks of `lanes × lanes`, and a sum of [#dots] comes as that many partial sums.
    int lanes();

    /// ```
    /// t[i, j] = Σₖ a[i, k]·b[k, j]      i < rows, j < tileCols, k < kc
    /// ```
    /// a: rows of [#A_ROW] bytes, b: rows of `tileCols`, t: rows of `tileCols`. May compute (and read) more rows than asked, up to
    /// [#tileRows]. Every element is summed in the order of k by fused (or always unfused) steps, whichever rows it is computed with.
    void tile(int rows, MemorySegment a, long ao, MemorySegment b, long bo, float[] t, int kc);

    /// Writes a tile out: `c = α·t + bias (+ c)` for whole rows of `tileCols`. `bias` may be null.
    void store(int rows, float[] t, MemorySegment c, long co, long cRow, float alpha, boolean accumulate, MemorySegment bias,
            long biasOffset);

    /// `to[j, i] = from[i, j]` for a block of `lanes × lanes` floats.
    void transpose(MemorySegment from, long fo, long fromRow, MemorySegment to, long too, long toRow);

    /// Copies `rows` rows of n numbers of type F32, BF16 or F16 as floats.
    void widen(DType type, MemorySegment from, long fo, long fromRow, MemorySegment to, long too, long toRow, int rows, int n);

    /// Copies n numbers of a row of int8 blocks as floats; `so` is the offset of the first one's scale, which has been in use for `first`
    /// numbers.
    void widenBlocks(MemorySegment from, long fo, int first, MemorySegment scales, long so, MemorySegment to, long too, int n);

    /// Copies n values of NF4 from the `first` one on as floats; their codes begin at byte fo.
    void widenNf4(MemorySegment from, long fo, long first, Absmax absmax, MemorySegment to, long too, int n);

    /// Four dot products of rows of w with x, each left as `lanes` partial sums in `sums`.
    ///
    /// ```
    /// Σₗ sums[i, l] = Σₖ w[oᵢ, k]·x[k]      i < 4, k < n (a multiple of 32)
    /// ```
    void dots(DType type, MemorySegment w, long o0, long o1, long o2, long o3, MemorySegment x, long xo, int n, MemorySegment sums,
            long so);

    /// The same for two rows of int8 blocks; `s0` and `s1` are the offsets of their scales.
    void dotsOfBlocks(
            MemorySegment w, long o0, long o1, MemorySegment scales, long s0, long s1, MemorySegment x, long xo, int n,
            MemorySegment sums, long so);

    /// The same for two rows of NF4 of whole blocks, 64 numbers each, of which x has those of even index and then those of odd; `s0` and `s1` are the
    /// offsets of their scales as floats.
    void dotsOfNf4(
            MemorySegment w, long o0, long o1, MemorySegment scales, long s0, long s1, MemorySegment x, long xo, int n,
            MemorySegment sums, long so);

    /// Sixteen dot products of four rows of w with four of x, both f32: `sums[4·i + j]` belongs to row i of w and row j of x.
    void dots4x4(MemorySegment w, long o0, long o1, long o2, long o3, MemorySegment x, long xo, long xRow, int n, MemorySegment sums,
            long so);

    /// Adds up the partial sums of 16 dot products, always in the same order: `to[i] = Σₗ sums[i, l]`.
    void fold(MemorySegment sums, MemorySegment to, MemorySegment workspace);

    /// `t[i, j] = Σₖ a[k, i]·b[k, j]` in f64, i < 4, j < lanes: packed without gaps.
    void tileF64(MemorySegment a, long ao, MemorySegment b, long bo, MemorySegment t, long to, int kc);
}
