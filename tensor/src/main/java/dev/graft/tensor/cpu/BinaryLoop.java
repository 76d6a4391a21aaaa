package dev.graft.tensor.cpu;

import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandles;
import jdk.incubator.vector.FloatVector;

/// A template of [Specialised].
final class BinaryLoop implements VectorLoop.Binary {
    private static final VectorLoop.BinaryFunction F = Specialised.function(MethodHandles.lookup(), VectorLoop.BinaryFunction.class);

    @Override
    public void run(MemorySegment a, long ao, MemorySegment b, long bo, MemorySegment y, long yo, int n) {
        for (int i = 0; i < n; i += Lanes.LENGTH) {
            F.apply(load(a, ao + i * 4L), load(b, bo + i * 4L)).intoMemorySegment(y, yo + i * 4L, Lanes.ORDER);
        }
    }

    @Override
    public void run(float a, MemorySegment b, long bo, MemorySegment y, long yo, int n) {
        FloatVector left = FloatVector.broadcast(Lanes.F32, a);
        for (int i = 0; i < n; i += Lanes.LENGTH) {
            F.apply(left, load(b, bo + i * 4L)).intoMemorySegment(y, yo + i * 4L, Lanes.ORDER);
        }
    }

    @Override
    public void run(MemorySegment a, long ao, float b, MemorySegment y, long yo, int n) {
        FloatVector right = FloatVector.broadcast(Lanes.F32, b);
        for (int i = 0; i < n; i += Lanes.LENGTH) {
            F.apply(load(a, ao + i * 4L), right).intoMemorySegment(y, yo + i * 4L, Lanes.ORDER);
        }
    }

    private static FloatVector load(MemorySegment from, long at) {
        return FloatVector.fromMemorySegment(Lanes.F32, from, at, Lanes.ORDER);
    }
}
