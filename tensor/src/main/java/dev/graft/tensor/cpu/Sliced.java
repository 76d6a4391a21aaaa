package dev.graft.tensor.cpu;

import dev.graft.tensor.Shape;
import dev.graft.tensor.backend.View;
import dev.graft.tensor.op.Affine;
import dev.graft.tensor.op.Binary;
import dev.graft.tensor.op.Cast;
import dev.graft.tensor.op.Cat;
import dev.graft.tensor.op.Copy;
import dev.graft.tensor.op.Fill;
import dev.graft.tensor.op.Gather;
import dev.graft.tensor.op.MatMul;
import dev.graft.tensor.op.Primitive;
import dev.graft.tensor.op.Random;
import dev.graft.tensor.op.Range;
import dev.graft.tensor.op.Reduce;
import dev.graft.tensor.op.ScatterAdd;
import dev.graft.tensor.op.Unary;
import dev.graft.tensor.op.UnaryGrad;
import dev.graft.tensor.op.Where;
import dev.graft.tensor.reference.Loops;
import java.util.List;

/// The reference loops, on slices of the longest axis side by side: for types and layouts without a kernel, and for a JVM without vectors.
final class Sliced {
    /// Elements that pay for waking a thread, at some 5 ns each.
    private static final long GRAIN = 4 << 10;

    private Sliced() {
    }

    static void run(Primitive op, List<View> in, View out) {
        int axis = switch (op) {
            case Unary _,UnaryGrad _,Binary _,Affine _,Where _,Cast _,Copy _,Fill _ -> longest(out.shape(), -1);
            case Reduce r -> longest(out.shape(), r.axis());
            case MatMul _,Gather _,ScatterAdd _,Cat _,Range _,Random _ -> -1;
        };
        if (axis < 0) {
            Loops.run(op, in, out);
            return;
        }
        int kept = op instanceof Reduce r ? r.axis() : -1;
        long work = Math.max(1, Math.max(out.size(), in.isEmpty() ? 0 : in.getFirst().size()) / Math.max(1, out.dim(axis)));
        Parallel.range(out.dim(axis), Math.ceilDiv(GRAIN, work), (from, to) -> {
            List<View> parts = in.stream().map(v -> (kept < 0 ? v.expand(out.shape()) : v).slice(axis, (int) from, (int) to)).toList();
            Loops.run(op, parts, out.slice(axis, (int) from, (int) to));
        });
    }

    /// The longest axis but one, or -1.
    private static int longest(Shape shape, int but) {
        int best = -1;
        for (int i = 0; i < shape.rank(); i++) if (i != but && (best < 0 || shape.dim(i) > shape.dim(best))) best = i;
        return best;
    }
}
