package dev.graft.tensor.cpu;

import dev.graft.tensor.DType;
import dev.graft.tensor.op.Nf4;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/// The kernels without the Vector API, for a JVM that lacks it. Sums are kept in local variables, four by four.
final class ScalarKernels implements Kernels {
    private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT_UNALIGNED;
    private static final ValueLayout.OfShort SHORT = ValueLayout.JAVA_SHORT_UNALIGNED;
    private static final ValueLayout.OfDouble DOUBLE = ValueLayout.JAVA_DOUBLE_UNALIGNED;
    private static final ValueLayout.OfByte BYTE = ValueLayout.JAVA_BYTE;
    private static final int SIZE = 4;
    private static final int ROW = SIZE * 4;

    @Override
    public int tileRows() {
        return SIZE;
    }

    @Override
    public int tileCols() {
        return SIZE;
    }

    @Override
    public int lanes() {
        return SIZE;
    }

    @Override
    public void tile(int rows, MemorySegment a, long ao, MemorySegment b, long bo, float[] t, int kc) {
        for (int i = 0; i < rows; i++) {
            float s0 = 0, s1 = 0, s2 = 0, s3 = 0;
            for (int k = 0; k < kc; k++) {
                float x = a.get(FLOAT, ao + (long) i * A_ROW + (long) k * 4);
                long row = bo + (long) k * ROW;
                s0 += x * b.get(FLOAT, row);
                s1 += x * b.get(FLOAT, row + 4);
                s2 += x * b.get(FLOAT, row + 8);
                s3 += x * b.get(FLOAT, row + 12);
            }
            t[i * SIZE] = s0;
            t[i * SIZE + 1] = s1;
            t[i * SIZE + 2] = s2;
            t[i * SIZE + 3] = s3;
        }
    }

    @Override
    public void store(
            int rows, float[] t, MemorySegment c, long co, long cRow, float alpha, boolean accumulate, MemorySegment bias,
            long biasOffset) {
        for (int i = 0; i < rows; i++) {
            for (int j = 0; j < SIZE; j++) {
                long at = co + i * cRow + j * 4L;
                float v = t[i * SIZE + j] * alpha + (bias == null ? 0 : bias.get(FLOAT, biasOffset + j * 4L));
                c.set(FLOAT, at, accumulate ? v + c.get(FLOAT, at) : v);
            }
        }
    }

    @Override
    public void transpose(MemorySegment from, long fo, long fromRow, MemorySegment to, long too, long toRow) {
        for (int i = 0; i < SIZE; i++) {
            for (int j = 0; j < SIZE; j++) {
                to.set(FLOAT, too + j * toRow + i * 4L, from.get(FLOAT, fo + i * fromRow + j * 4L));
            }
        }
    }

    @Override
    public void widen(DType type, MemorySegment from, long fo, long fromRow, MemorySegment to, long too, long toRow, int rows, int n) {
        for (int i = 0; i < rows; i++) {
            if (type == DType.F32) {
                MemorySegment.copy(from, fo + i * fromRow, to, too + i * toRow, n * 4L);
            } else {
                for (int j = 0; j < n; j++) {
                    to.set(FLOAT, too + i * toRow + j * 4L, wide(type, from, fo + i * fromRow + j * 2L));
                }
            }
        }
    }

    @Override
    public void widenBlocks(MemorySegment from, long fo, int first, MemorySegment scales, long so, MemorySegment to, long too, int n) {
        for (int j = 0; j < n; j++) {
            to.set(FLOAT, too + j * 4L, from.get(BYTE, fo + j) * scales.get(FLOAT, so + (first + j) / Matrix.BLOCK * 4L));
        }
    }

    @Override
    public void widenNf4(MemorySegment from, long fo, long first, Absmax absmax, MemorySegment to, long too, int n) {
        for (int j = 0; j < n;) {
            long block = (first + j) / Nf4.BLOCK;
            int until = (int) Math.min(n, (block + 1) * Nf4.BLOCK - first);
            float scale = absmax.of(block);
            for (; j < until; j++) to.set(FLOAT, too + j * 4L, Absmax.value(from.get(BYTE, fo + (first + j) / 2), first + j) * scale);
        }
    }

    @Override
    public void dots(DType type, MemorySegment w, long o0, long o1, long o2, long o3, MemorySegment x, long xo, int n, MemorySegment sums,
            long so) {
        long[] rows = {o0, o1, o2, o3};
        for (int i = 0; i < 4; i++) {
            float s0 = 0, s1 = 0, s2 = 0, s3 = 0;
            int size = type.bytes();
            for (int k = 0; k < n; k += 4) {
                long at = rows[i] + (long) k * size, xk = xo + k * 4L;
                s0 += wide(type, w, at) * x.get(FLOAT, xk);
                s1 += wide(type, w, at + size) * x.get(FLOAT, xk + 4);
                s2 += wide(type, w, at + 2 * size) * x.get(FLOAT, xk + 8);
                s3 += wide(type, w, at + 3 * size) * x.get(FLOAT, xk + 12);
            }
            put(sums, so + (long) i * ROW, s0, s1, s2, s3);
        }
    }

    @Override
    public void dotsOfBlocks(
            MemorySegment w, long o0, long o1, MemorySegment scales, long s0, long s1, MemorySegment x, long xo, int n,
            MemorySegment sums, long so) {
        long[] rows = {o0, o1}, scaleRows = {s0, s1};
        for (int i = 0; i < 2; i++) {
            float sum = 0;
            for (int block = 0; block < n / Matrix.BLOCK; block++) {
                float dot = 0;
                for (int k = block * Matrix.BLOCK; k < (block + 1) * Matrix.BLOCK; k++) {
                    dot += w.get(BYTE, rows[i] + k) * x.get(FLOAT, xo + k * 4L);
                }
                sum += dot * scales.get(FLOAT, scaleRows[i] + block * 4L);
            }
            put(sums, so + (long) i * ROW, sum, 0, 0, 0);
        }
    }

    @Override
    public void dotsOfNf4(
            MemorySegment w, long o0, long o1, MemorySegment scales, long s0, long s1, MemorySegment x, long xo, int n,
            MemorySegment sums, long so) {
        long[] rows = {o0, o1}, scaleRows = {s0, s1};
        int half = Nf4.BLOCK / 2;
        for (int i = 0; i < 2; i++) {
            float a = 0, b = 0, c = 0, d = 0;
            for (int block = 0; block < n / Nf4.BLOCK; block++) {
                float p0 = 0, p1 = 0, p2 = 0, p3 = 0;
                for (int k = 0; k < half; k += 2) {
                    int u = w.get(BYTE, rows[i] + (long) block * half + k), v = w.get(BYTE, rows[i] + (long) block * half + k + 1);
                    long even = xo + (block * (long) Nf4.BLOCK + k) * 4, odd = even + half * 4L;
                    p0 += Absmax.value(u >> 4 & 15) * x.get(FLOAT, even);
                    p1 += Absmax.value(v >> 4 & 15) * x.get(FLOAT, even + 4);
                    p2 += Absmax.value(u & 15) * x.get(FLOAT, odd);
                    p3 += Absmax.value(v & 15) * x.get(FLOAT, odd + 4);
                }
                float scale = scales.get(FLOAT, scaleRows[i] + block * 4L);
                a += p0 * scale;
                b += p1 * scale;
                c += p2 * scale;
                d += p3 * scale;
            }
            put(sums, so + (long) i * ROW, a, b, c, d);
        }
    }

    @Override
    public void dots4x4(MemorySegment w, long o0, long o1, long o2, long o3, MemorySegment x, long xo, long xRow, int n, MemorySegment sums,
            long so) {
        long[] rows = {o0, o1, o2, o3};
        for (int i = 0; i < 4; i++) {
            float s0 = 0, s1 = 0, s2 = 0, s3 = 0;
            for (int k = 0; k < n; k++) {
                float v = w.get(FLOAT, rows[i] + k * 4L);
                long xk = xo + k * 4L;
                s0 += v * x.get(FLOAT, xk);
                s1 += v * x.get(FLOAT, xk + xRow);
                s2 += v * x.get(FLOAT, xk + 2 * xRow);
                s3 += v * x.get(FLOAT, xk + 3 * xRow);
            }
            put(sums, so + (4 * i) * ROW, s0, 0, 0, 0);
            put(sums, so + (4 * i + 1) * ROW, s1, 0, 0, 0);
            put(sums, so + (4 * i + 2) * ROW, s2, 0, 0, 0);
            put(sums, so + (4 * i + 3) * ROW, s3, 0, 0, 0);
        }
    }

    @Override
    public void fold(MemorySegment sums, MemorySegment to, MemorySegment workspace) {
        for (int i = 0; i < 16; i++) {
            long at = (long) i * ROW;
            to.set(FLOAT, i * 4L, sums.get(FLOAT, at) + sums.get(FLOAT, at + 4) + (sums.get(FLOAT, at + 8) + sums.get(FLOAT, at + 12)));
        }
    }

    @Override
    public void tileF64(MemorySegment a, long ao, MemorySegment b, long bo, MemorySegment t, long to, int kc) {
        for (int i = 0; i < TILE_ROWS_F64; i++) {
            double s0 = 0, s1 = 0, s2 = 0, s3 = 0;
            for (int k = 0; k < kc; k++) {
                double x = a.get(DOUBLE, ao + (long) k * 32 + i * 8L);
                long row = bo + (long) k * 32;
                s0 += x * b.get(DOUBLE, row);
                s1 += x * b.get(DOUBLE, row + 8);
                s2 += x * b.get(DOUBLE, row + 16);
                s3 += x * b.get(DOUBLE, row + 24);
            }
            long row = to + i * 32L;
            t.set(DOUBLE, row, s0);
            t.set(DOUBLE, row + 8, s1);
            t.set(DOUBLE, row + 16, s2);
            t.set(DOUBLE, row + 24, s3);
        }
    }

    private static float wide(DType type, MemorySegment from, long at) {
        return switch (type) {
            case F32 -> from.get(FLOAT, at);
            case BF16 -> Float.intBitsToFloat(from.get(SHORT, at) << 16);
            case F16 -> Float.float16ToFloat(from.get(SHORT, at));
            case F64, I64, I32, I8 -> throw new AssertionError(type);
        };
    }

    private static void put(MemorySegment to, long at, float s0, float s1, float s2, float s3) {
        to.set(FLOAT, at, s0);
        to.set(FLOAT, at + 4, s1);
        to.set(FLOAT, at + 8, s2);
        to.set(FLOAT, at + 12, s3);
    }
}
