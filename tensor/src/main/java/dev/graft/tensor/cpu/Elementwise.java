package dev.graft.tensor.cpu;

import dev.graft.tensor.DType;
import dev.graft.tensor.backend.View;
import dev.graft.tensor.op.Affine;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;

/// The F32 primitives that look at one element at a time.
final class Elementwise {
    private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT_UNALIGNED;

    private Elementwise() {
    }

    static void unary(VectorLoop.Unary f, View x, View out) {
        Blocks.of(List.of(x), out).run((m, at, n) -> f.run(m[0], at[0], m[1], at[1], n));
    }

    static void binary(VectorLoop.Binary f, View a, View b, View out) {
        Blocks blocks = Blocks.of(List.of(a, b), out);
        boolean left = blocks.repeats(0);
        boolean right = blocks.repeats(1);
        if (left && right) blocks.run((m, at, n) -> f.run(m[0], at[0], m[1], at[1], m[2], at[2], n));
        else if (left) blocks.runWithRepeats((m, at, n) -> f.run(m[0].get(FLOAT, at[0]), m[1], at[1], m[2], at[2], n));
        else if (right) blocks.runWithRepeats((m, at, n) -> f.run(m[0], at[0], m[1].get(FLOAT, at[1]), m[2], at[2], n));
        else blocks.run((m, at, n) -> f.run(m[0], at[0], m[1], at[1], m[2], at[2], n));
    }

    static void affine(Affine op, View x, View out) {
        float scale = (float) op.scale();
        float shift = (float) op.shift();
        Blocks.of(List.of(x), out).run((m, at, n) -> Rows.affineBody(m[0], at[0], scale, shift, m[1], at[1], n));
    }

    /// @param condition F32 or I32
    static void where(View condition, View a, View b, View out) {
        int value = condition.dtype() == DType.F32 ? Integer.MAX_VALUE : -1;    // −0 is zero too
        Blocks.of(List.of(condition, a, b), out).run((m, at, n) -> where(m[0], at[0], value, m[1], at[1], m[2], at[2], m[3], at[3], n));
    }

    private static void where(MemorySegment c, long co, int value, MemorySegment a, long ao, MemorySegment b, long bo, MemorySegment y,
            long yo, int n) {
        for (int i = 0; i < n; i += Lanes.LENGTH) {
            IntVector bits = IntVector.fromMemorySegment(Lanes.I32, c, co + i * 4L, Lanes.ORDER).and(value);
            VectorMask<Float> holds = bits.compare(VectorOperators.NE, 0).cast(Lanes.F32);
            load(b, bo + i * 4L).blend(load(a, ao + i * 4L), holds).intoMemorySegment(y, yo + i * 4L, Lanes.ORDER);
        }
    }

    private static FloatVector load(MemorySegment from, long at) {
        return FloatVector.fromMemorySegment(Lanes.F32, from, at, Lanes.ORDER);
    }
}
