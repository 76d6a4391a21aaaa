package dev.graft.tensor.cpu;

import java.lang.foreign.MemorySegment;
import java.util.function.BinaryOperator;
import java.util.function.UnaryOperator;
import jdk.incubator.vector.FloatVector;

/// Loops over whole vectors of unit stride, one for each function. Offsets are in bytes, n is a multiple of the vector's length.
final class VectorLoop {
    interface UnaryFunction extends UnaryOperator<FloatVector> {
    }

    interface BinaryFunction extends BinaryOperator<FloatVector> {
    }

    /// `y = f(x)`.
    interface Unary {
        void run(MemorySegment x, long xo, MemorySegment y, long yo, int n);
    }

    /// `y = f(a, b)`, and the same where one side is a single number.
    interface Binary {
        void run(MemorySegment a, long ao, MemorySegment b, long bo, MemorySegment y, long yo, int n);

        void run(float a, MemorySegment b, long bo, MemorySegment y, long yo, int n);

        void run(MemorySegment a, long ao, float b, MemorySegment y, long yo, int n);
    }

    private VectorLoop() {
    }

    static Unary of(UnaryFunction f) {
        return Specialised.loop(Unary.class, UnaryLoop.class, f);
    }

    static Binary of(BinaryFunction f) {
        return Specialised.loop(Binary.class, BinaryLoop.class, f);
    }
}
