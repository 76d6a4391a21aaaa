package dev.graft.tensor.cpu;

import dev.graft.tensor.backend.View;
import dev.graft.tensor.cpu.ScoreTile.Queries;
import dev.graft.tensor.op.Attention;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/// [Attention] in tiles (Dao et al. 2022, arXiv:2205.14135, algorithm 1): no more scores are ever held than those of some queries with a block of keys.
///
/// ```
/// for each block of keys:   m′ = max(m, max s)   p = e^(s − m′)   l ← l · e^(m − m′) + Σ p   y ← y · e^(m − m′) + p v
/// at the end:               y ← y / l            lse = m + ln l
/// ```
/// A task is some queries of one head; in decoding, where there is one query a head, the heads of a group, which share their keys.
final class AttentionKernel {
    private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT_UNALIGNED;
    private static final float EMPTY = -1e30f;

    private AttentionKernel() {
    }

    static void run(Attention op, List<View> in, List<View> out) {
        List<Temporary> own = new ArrayList<>();
        try {
            List<View> inputs = inputs(op, in, own);
            View q = in.getFirst();
            int group = q.dim(2) / in.get(1).dim(2);
            List<Queries> tasks = tasks(q, group);
            Parallel.range(tasks.size(), 1, (from, to) -> {
                try (ScoreTile tile = new ScoreTile(op, inputs)) {
                    Task task = new Task(tile, inputs, out.get(0), out.get(1));
                    for (int i = (int) from; i < to; i++) task.run(tasks.get(i), tasks.get(i).head() / group);
                }
            });
        } finally {
            own.forEach(Temporary::close);
        }
    }

    /// q, k and v as they lie; the mask as numbers to add, the bias contiguous.
    static List<View> inputs(Attention op, List<View> in, List<Temporary> own) {
        List<View> inputs = new ArrayList<>(in);
        if (op.masked()) {
            own.add(ScoreTile.mask(in.get(3)));
            inputs.set(3, own.getLast().view());
        }
        if (op.biased()) {
            own.add(Temporary.contiguous(in.getLast()));
            inputs.set(in.size() - 1, own.getLast().view());
        }
        return inputs;
    }

    private static List<Queries> tasks(View q, int group) {
        List<Queries> tasks = new ArrayList<>();
        boolean acrossHeads = q.dim(1) == 1;
        for (int b = 0; b < q.dim(0); b++) {
            for (int h = 0; h < q.dim(2); h += acrossHeads ? group : 1)
                tasks.addAll(ofHead(b, h, acrossHeads ? group : q.dim(1), acrossHeads));
        }
        return tasks;
    }

    /// The queries of one head (or those of a group at one time), a tile's rows at a time.
    static List<Queries> ofHead(int batch, int head, int count, boolean acrossHeads) {
        List<Queries> blocks = new ArrayList<>();
        for (int i = 0; i < count; i += ScoreTile.QUERIES) {
            int n = Math.min(ScoreTile.QUERIES, count - i);
            blocks.add(acrossHeads ? new Queries(batch, head + i, 0, n, true) : new Queries(batch, head, i, n, false));
        }
        return blocks;
    }

    private static final class Task {
        private final ScoreTile tile;
        private final List<View> in;
        private final View y;
        private final View lse;
        private final float[] max = new float[ScoreTile.QUERIES];
        private final float[] sum = new float[ScoreTile.QUERIES];

        Task(ScoreTile tile, List<View> in, View y, View lse) {
            this.tile = tile;
            this.in = in;
            this.y = y;
            this.lse = lse;
        }

        void run(Queries q, int keyHead) {
            Matrix queries = q.of(in.get(0));
            Matrix result = q.of(y);
            Arrays.fill(max, Float.NEGATIVE_INFINITY);
            Arrays.fill(sum, 0);
            int seen = tile.seen(q);
            for (int from = 0; from < seen || from == 0; from += ScoreTile.KEYS) {
                int keys = Math.min(ScoreTile.KEYS, seen - from);
                tile.fill(q, queries, keyHead, from, keys);
                for (int i = 0; i < q.count(); i++) row(q, i, from, keys, result);
                Matrix values = ScoreTile.rows(in.get(2), q.batch(), keyHead, from, keys);
                Gemm.multiply(tile.matrix(q.count(), keys), values, result, from == 0 ? Epilogue.PLAIN : Epilogue.ACCUMULATE);
            }
            for (int i = 0; i < q.count(); i++) finish(q, i, result);
        }

        private void row(Queries q, int i, int from, int keys, Matrix result) {
            int visible = tile.visible(q, i, from, keys);
            float higher = Math.max(max[i], tile.max(i, visible));
            float less = max[i] == higher ? 1 : Exp.exp(max[i] - higher);
            sum[i] = sum[i] * less + tile.exponentiate(i, higher, visible, keys);
            if (from > 0 && less != 1) scale(result, i, less);
            max[i] = higher;
        }

        private void finish(Queries q, int i, Matrix result) {
            scale(result, i, sum[i] == 0 ? 0 : 1 / sum[i]);
            MemorySegment to = lse.segment();
            long at = lse.byteOffset() + (((long) q.batch() * lse.dim(1) + q.head(i)) * lse.dim(2) + q.time(i)) * 4;
            to.set(FLOAT, at, sum[i] == 0 ? EMPTY : (float) (max[i] + Math.log(sum[i])));
        }

        private static void scale(Matrix rows, int i, float by) {
            Rows.affine(rows.segment(), rows.address(i, 0), by, 0, rows.segment(), rows.address(i, 0), rows.cols());
        }
    }
}
