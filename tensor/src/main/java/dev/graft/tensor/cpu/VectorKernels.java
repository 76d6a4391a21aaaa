package dev.graft.tensor.cpu;

import dev.graft.tensor.DType;
import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.FloatVector;

/// The kernels written with the Vector API, at the width of [Lanes].
final class VectorKernels implements Kernels {
    /// 24 sums where there are 32 registers: AVX-512, and NEON; 12 sums with the 16 of AVX2 and SSE.
    private static final int TILE_ROWS = VectorWidth.BITS == 512 || System.getProperty("os.arch", "").equals("aarch64") ? 12 : 6;

    private static final int V = Lanes.BYTES;
    private static final int L = Lanes.LENGTH;
    private static final Kernels SCALARS = new ScalarKernels(); // whose sums have the lanes of 128 bits

    VectorKernels() {
        Scratch s = new Scratch(this);
        MemorySegment m = s.panels();
        for (int rows = 4; rows <= TILE_ROWS; rows += 2) {
            int r = rows; // warmed up here, because only the tiles keep vectors across the iterations of a loop
            WarmUp.untilCompiled(() -> tile(r, s.a(TILE_ROWS), 0, m, 0, s.tile(), 4));
        }
    }

    @Override
    public int tileRows() {
        return TILE_ROWS;
    }

    @Override
    public int tileCols() {
        return 2 * Lanes.LENGTH;
    }

    @Override
    public int lanes() {
        return Lanes.LENGTH;
    }

    @Override
    public void tile(int rows, MemorySegment a, long ao, MemorySegment b, long bo, float[] t, int kc) {
        if (rows <= 4) {
            Tile.rows4(a, ao, b, bo, t, kc);
        } else if (TILE_ROWS == 6) {
            Tile.rows6(a, ao, b, bo, t, kc);
        } else if (rows <= 8) {
            Tile.rows8(a, ao, b, bo, t, kc);
        } else {
            Tile.rows12(a, ao, b, bo, t, kc);
        }
    }

    @Override
    public void store(
            int rows, float[] t, MemorySegment c, long co, long cRow, float alpha, boolean accumulate, MemorySegment bias,
            long biasOffset) {
        FloatVector b0 = bias == null ? FloatVector.zero(Lanes.F32) : load(bias, biasOffset);
        FloatVector b1 = bias == null ? FloatVector.zero(Lanes.F32) : load(bias, biasOffset + V);
        FloatVector scale = FloatVector.broadcast(Lanes.F32, alpha);
        if (accumulate) {
            for (int i = 0; i < rows; i++) {
                long to = co + i * cRow;
                load(t, 2 * i * L).fma(scale, b0).add(load(c, to)).intoMemorySegment(c, to, Lanes.ORDER);
                load(t, (2 * i + 1) * L).fma(scale, b1).add(load(c, to + V)).intoMemorySegment(c, to + V, Lanes.ORDER);
            }
        } else {
            for (int i = 0; i < rows; i++) {
                long to = co + i * cRow;
                load(t, 2 * i * L).fma(scale, b0).intoMemorySegment(c, to, Lanes.ORDER);
                load(t, (2 * i + 1) * L).fma(scale, b1).intoMemorySegment(c, to + V, Lanes.ORDER);
            }
        }
    }

    @Override
    public void transpose(MemorySegment from, long fo, long fromRow, MemorySegment to, long too, long toRow) {
        Transpose.block(from, fo, fromRow, to, too, toRow);
    }

    @Override
    public void widen(DType type, MemorySegment from, long fo, long fromRow, MemorySegment to, long too, long toRow, int rows, int n) {
        Widen.rows(type, from, fo, fromRow, to, too, toRow, rows, n);
    }

    @Override
    public void widenBlocks(MemorySegment from, long fo, int first, MemorySegment scales, long so, MemorySegment to, long too, int n) {
        Widen.blocks(from, fo, first, scales, so, to, too, n);
    }

    @Override
    public void widenNf4(MemorySegment from, long fo, long first, Absmax absmax, MemorySegment to, long too, int n) {
        if (L < 8) SCALARS.widenNf4(from, fo, first, absmax, to, too, n);
        else Nf4Loops.values(from, fo, first, absmax, to, too, n);
    }

    @Override
    public void dots(DType type, MemorySegment w, long o0, long o1, long o2, long o3, MemorySegment x, long xo, int n, MemorySegment sums,
            long so) {
        switch (type) {
            case F32 -> Dots.f32(w, o0, o1, o2, o3, x, xo, n, sums, so);
            case BF16 -> Dots.bf16(w, o0, o1, o2, o3, x, xo, n, sums, so);
            case F16 -> Dots.f16(w, o0, o1, o2, o3, x, xo, n, sums, so);
            case F64, I64, I32, I8 -> throw new AssertionError(type);
        }
    }

    @Override
    public void dotsOfBlocks(
            MemorySegment w, long o0, long o1, MemorySegment scales, long s0, long s1, MemorySegment x, long xo, int n,
            MemorySegment sums, long so) {
        Dots.int8(w, o0, o1, scales, s0, s1, x, xo, n, sums, so);
    }

    @Override
    public void dotsOfNf4(
            MemorySegment w, long o0, long o1, MemorySegment scales, long s0, long s1, MemorySegment x, long xo, int n,
            MemorySegment sums, long so) {
        if (L < 8) SCALARS.dotsOfNf4(w, o0, o1, scales, s0, s1, x, xo, n, sums, so);
        else Nf4Loops.dots(w, o0, o1, scales, s0, s1, x, xo, n, sums, so);
    }

    @Override
    public void dots4x4(MemorySegment w, long o0, long o1, long o2, long o3, MemorySegment x, long xo, long xRow, int n, MemorySegment sums,
            long so) {
        Dots.f32x4(w, o0, o1, o2, o3, x, xo, xRow, n, sums, so);
    }

    @Override
    public void fold(MemorySegment sums, MemorySegment to, MemorySegment workspace) {
        Dots.fold(sums, to, workspace);
    }

    @Override
    public void tileF64(MemorySegment a, long ao, MemorySegment b, long bo, MemorySegment t, long to, int kc) {
        TileF64.rows4(a, ao, b, bo, t, to, kc);
    }

    private static FloatVector load(MemorySegment from, long at) {
        return FloatVector.fromMemorySegment(Lanes.F32, from, at, Lanes.ORDER);
    }

    private static FloatVector load(float[] from, int at) {
        return FloatVector.fromArray(Lanes.F32, from, at);
    }
}
