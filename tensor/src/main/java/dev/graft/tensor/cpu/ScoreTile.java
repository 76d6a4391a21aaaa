package dev.graft.tensor.cpu;

import dev.graft.tensor.DType;
import dev.graft.tensor.backend.HostMemory;
import dev.graft.tensor.backend.Storage;
import dev.graft.tensor.backend.View;
import dev.graft.tensor.op.Attention;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;

/// Scores of some queries with a block of keys, and what is allowed of them: the part that attention and its gradient share.
///
/// ```
/// s[i, j] = scale · qᵢ · kⱼ + bias[i, j], −∞ where key j is masked        j < visible(i): keys up to query i + (S − T) when causal
/// ```
/// Beyond `visible(i)` a row is zero once it has been exponentiated: such keys are not looked at, and blocks that hold only such are skipped.
final class ScoreTile implements AutoCloseable {
    /// Queries and keys of a tile; the scores of one, 160 KB, stay in the second-level cache.
    static final int QUERIES = 96;
    static final int KEYS = 384;
    /// Elements from one row of scores to the next: 64 bytes off a power of two, lest all rows fall on the same cache sets.
    static final int ROW = KEYS + 16;

    private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT_UNALIGNED;
    private static final float NEVER = -1e30f;

    /// Queries that read the same keys: `count` times of one head, or at one time so many heads of a group.
    record Queries(int batch, int head, int time, int count, boolean acrossHeads) {
        int head(int i) {
            return acrossHeads ? head + i : head;
        }

        int time(int i) {
            return acrossHeads ? time : time + i;
        }

        /// Their rows of a tensor `[B, T, H, D]`.
        Matrix of(View x) {
            return Matrix.of(x.dtype(), x.segment(), at(x), count, x.dim(3), x.stride(acrossHeads ? 2 : 1), x.stride(3));
        }

        /// Where the first row begins, in bytes.
        long at(View x) {
            return x.byteOffset() + (batch * x.stride(0) + time * x.stride(1) + head * x.stride(2)) * x.dtype().bytes();
        }
    }

    private final Attention op;
    private final View k;
    private final int past;
    private final View mask;
    private final View bias;
    private final Storage memory;

    /// @param in q, k, v, then mask (by [#mask]) and bias, contiguous
    ScoreTile(Attention op, List<View> in) {
        this.op = op;
        k = in.get(1);
        past = k.dim(1) - in.getFirst().dim(1);
        mask = op.masked() ? in.get(3) : null;
        bias = op.biased() ? in.getLast() : null;
        memory = HostMemory.shared().allocate(QUERIES * ROW * 4L);
    }

    /// A mask of any type as what is added to the scores: 0, or −∞ for a key that is not allowed.
    static Temporary mask(View mask) {
        Temporary out = Temporary.of(mask.spec().with(DType.F32));
        CastKernel.run(mask, out.view());
        MemorySegment m = out.view().segment();
        for (long i = 0; i < out.view().size(); i++) m.set(FLOAT, i * 4, m.get(FLOAT, i * 4) == 0 ? Float.NEGATIVE_INFINITY : 0);
        return out;
    }

    MemorySegment scores() {
        return memory.segment();
    }

    /// The tile as a matrix.
    Matrix matrix(int rows, int keys) {
        return Matrix.of(DType.F32, scores(), 0, rows, keys, ROW, 1);
    }

    /// How many of all keys the last of these queries may see, and with it the others.
    int seen(Queries q) {
        return op.causal() ? q.time(q.count - 1) + past + 1 : k.dim(1);
    }

    /// How many keys of a block the i-th query may see.
    int visible(Queries q, int i, int from, int keys) {
        return op.causal() ? Math.clamp(q.time(i) + past + 1L - from, 0, keys) : keys;
    }

    /// Fills the tile with the scores of the keys `from` … `from + keys`.
    void fill(Queries q, Matrix queries, int keyHead, int from, int keys) {
        Gemm.multiply(queries, rows(k, q.batch, keyHead, from, keys).transposed(), matrix(q.count, keys), Epilogue.scaled(op.scale()));
        for (int i = 0; i < q.count && (mask != null || bias != null); i++) {
            int n = visible(q, i, from, keys);
            if (mask != null)
                Rows.add(mask.segment(), mask.byteOffset() + ((long) q.batch * k.dim(1) + from) * 4, scores(), i * ROW * 4L, n);
            if (bias != null) Rows.add(bias.segment(), bias(q, i) + from * 4L, scores(), i * ROW * 4L, n);
        }
    }

    private long bias(Queries q, int i) {
        return bias.byteOffset() + (at(bias, 0, q.batch) + at(bias, 1, q.head(i)) + at(bias, 2, q.time(i))) * 4;
    }

    /// An axis of size 1 is stretched.
    private static long at(View v, int axis, int index) {
        return v.dim(axis) == 1 ? 0 : index * v.stride(axis);
    }

    /// Keys (or values, or their gradients) `from` … `from + n` of one head.
    static Matrix rows(View x, int batch, int head, int from, int n) {
        long at = batch * x.stride(0) + from * x.stride(1) + head * x.stride(2);
        return Matrix.of(x.dtype(), x.segment(), x.byteOffset() + at * x.dtype().bytes(), n, x.dim(3), x.stride(1), x.stride(3));
    }

    /// The largest score of a row, or −∞ when no key in it is allowed.
    float max(int i, int visible) {
        float max = visible == 0 ? Float.NEGATIVE_INFINITY : Rows.max(scores(), i * ROW * 4L, visible);
        return max <= NEVER ? Float.NEGATIVE_INFINITY : max;
    }

    /// `s ← e^(s − shift)` of a row, 0 beyond what is visible; the row's sum. A shift of −∞ makes all of it 0.
    float exponentiate(int i, float shift, int visible, int keys) {
        long row = i * ROW * 4L;
        if (shift == Float.NEGATIVE_INFINITY) {
            Rows.fill(0, scores(), row, keys);
            return 0;
        }
        int padded = Math.min(KEYS, Math.ceilDiv(visible, Lanes.LENGTH) * Lanes.LENGTH);
        Rows.fill(Float.NEGATIVE_INFINITY, scores(), row + visible * 4L, padded - visible);
        float sum = Rows.exp(scores(), row, shift, scores(), row, padded);
        if (keys > padded) Rows.fill(0, scores(), row + padded * 4L, keys - padded);
        return sum;
    }

    @Override
    public void close() {
        memory.release();
    }
}
