package dev.graft.tensor.cpu;

import dev.graft.tensor.DType;
import dev.graft.tensor.backend.HostMemory;
import dev.graft.tensor.backend.Storage;
import dev.graft.tensor.backend.View;
import dev.graft.tensor.cpu.ScoreTile.Queries;
import dev.graft.tensor.op.Attention;
import dev.graft.tensor.op.AttentionGrad;
import dev.graft.tensor.op.Fill;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import jdk.incubator.vector.FloatVector;

/// [AttentionGrad] in tiles: the probabilities are computed again, from each row's lse.
///
/// ```
/// p = e^(s − lse)       dp = dy vᵀ        ds = scale · p ⊙ (dp − δ), δ = Σ dy ⊙ y
/// dv += pᵀ dy           dk += dsᵀ q       dq += ds k
/// ```
/// A task is one head of keys with all heads of queries that read it, in order: nobody else adds to its dk and dv, and every sum has one order.
final class AttentionGradKernel {
    private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT_UNALIGNED;
    private static final float EMPTY = -1e29f;

    private AttentionGradKernel() {
    }

    static void run(AttentionGrad op, List<View> in, List<View> out) {
        Attention forward = op.forward();
        List<Temporary> own = new ArrayList<>();
        try {
            for (int i = 0; i < 3; i++) own.add(Temporary.contiguous(in.get(i)));
            List<View> results = own.stream().map(Temporary::view).toList();
            List<View> inputs = AttentionKernel.inputs(forward, in.subList(3, in.size()), own);
            for (View d : out) FillKernel.run(new Fill(d.spec(), 0), d);
            int heads = inputs.get(1).dim(2);
            int tasks = inputs.getFirst().dim(0) * heads;
            Parallel.Body body = (from, to) -> {
                try (Task task = new Task(forward, inputs, results, out)) {
                    for (int i = (int) from; i < to; i++) task.run(i / heads, i % heads);
                }
            };
            if (tasks < Parallel.threads()) body.run(0, tasks);                 // too few to share out: the threads share each product
            else Parallel.range(tasks, 1, body);
        } finally {
            own.forEach(Temporary::close);
        }
    }

    private static final class Task implements AutoCloseable {
        private final double scale;
        private final ScoreTile tile;
        private final View q;
        private final View k;
        private final View v;
        private final View dy;
        private final View y;
        private final View lse;
        private final View dq;
        private final View dk;
        private final View dv;
        private final Storage memory = HostMemory.shared().allocate(ScoreTile.QUERIES * ScoreTile.ROW * 4L);

        Task(Attention op, List<View> in, List<View> results, List<View> out) {
            scale = op.scale();
            tile = new ScoreTile(op, in);
            q = in.get(0);
            k = in.get(1);
            v = in.get(2);
            dy = results.get(0);
            y = results.get(1);
            lse = results.get(2);
            dq = out.get(0);
            dk = out.get(1);
            dv = out.get(2);
        }

        void run(int batch, int keyHead) {
            int group = q.dim(2) / k.dim(2);
            for (int h = keyHead * group; h < (keyHead + 1) * group; h++) {
                for (Queries some : AttentionKernel.ofHead(batch, h, q.dim(1), false)) {
                    int seen = tile.seen(some);
                    for (int from = 0; from < seen; from += ScoreTile.KEYS)
                        block(some, keyHead, from, Math.min(ScoreTile.KEYS, seen - from));
                }
            }
        }

        private void block(Queries some, int keyHead, int from, int keys) {
            int rows = some.count();
            tile.fill(some, some.of(q), keyHead, from, keys);
            Matrix slope = Matrix.of(DType.F32, memory.segment(), 0, rows, keys, ScoreTile.ROW, 1);
            Gemm.multiply(some.of(dy), ScoreTile.rows(v, some.batch(), keyHead, from, keys).transposed(), slope);    // dp
            for (int i = 0; i < rows; i++) row(some, i, from, keys);
            Matrix p = tile.matrix(rows, keys);
            Gemm.multiply(p.transposed(), some.of(dy), ScoreTile.rows(dv, some.batch(), keyHead, from, keys), Epilogue.ACCUMULATE);
            Gemm.multiply(slope, ScoreTile.rows(k, some.batch(), keyHead, from, keys), some.of(dq), Epilogue.ACCUMULATE);
            Gemm.multiply(slope.transposed(), some.of(q), ScoreTile.rows(dk, some.batch(), keyHead, from, keys), Epilogue.ACCUMULATE);
        }

        /// Scores to probabilities, and dp to ds.
        private void row(Queries some, int i, int from, int keys) {
            float sum = lse.segment().get(FLOAT,
                    lse.byteOffset() + (((long) some.batch() * lse.dim(1) + some.head(i)) * lse.dim(2) + some.time(i)) * 4);
            tile.exponentiate(i, sum < EMPTY ? Float.NEGATIVE_INFINITY : sum, tile.visible(some, i, from, keys), keys);
            Matrix out = some.of(y);
            long at = out.address(i, 0) - out.offset();
            float along = Rows.dot(dy.segment(), some.of(dy).offset() + at, y.segment(), out.offset() + at, y.dim(3));
            long row = i * ScoreTile.ROW * 4L;
            slope(tile.scores(), row, memory.segment(), row, along, (float) scale, Math.ceilDiv(keys, Lanes.LENGTH) * Lanes.LENGTH);
        }

        @Override
        public void close() {
            tile.close();
            memory.release();
        }
    }

    /// `ds = scale · p (dp − δ)`; what lies behind the last key is never read.
    private static void slope(MemorySegment p, long po, MemorySegment dp, long dpo, float along, float scale, int n) {
        for (int i = 0; i < n; i += Lanes.LENGTH) {
            FloatVector d = FloatVector.fromMemorySegment(Lanes.F32, dp, dpo + i * 4L, Lanes.ORDER).sub(along).mul(scale);
            d.mul(FloatVector.fromMemorySegment(Lanes.F32, p, po + i * 4L, Lanes.ORDER)).intoMemorySegment(dp, dpo + i * 4L, Lanes.ORDER);
        }
    }
}
