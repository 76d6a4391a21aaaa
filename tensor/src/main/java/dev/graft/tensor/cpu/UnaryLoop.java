package dev.graft.tensor.cpu;

import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandles;
import jdk.incubator.vector.FloatVector;

/// A template of [Specialised].
final class UnaryLoop implements VectorLoop.Unary {
    private static final VectorLoop.UnaryFunction F = Specialised.function(MethodHandles.lookup(), VectorLoop.UnaryFunction.class);

    @Override
    public void run(MemorySegment x, long xo, MemorySegment y, long yo, int n) {
        for (int i = 0; i < n; i += Lanes.LENGTH) {
            F.apply(FloatVector.fromMemorySegment(Lanes.F32, x, xo + i * 4L, Lanes.ORDER)).intoMemorySegment(y, yo + i * 4L, Lanes.ORDER);
        }
    }
}
