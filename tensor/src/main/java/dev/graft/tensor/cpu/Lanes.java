package dev.graft.tensor.cpu;

import java.nio.ByteOrder;
import jdk.incubator.vector.ByteVector;
import jdk.incubator.vector.DoubleVector;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.ShortVector;
import jdk.incubator.vector.VectorShape;
import jdk.incubator.vector.VectorShuffle;
import jdk.incubator.vector.VectorSpecies;

/// The vector species every kernel of the CPU backend is written with, as wide as [VectorWidth#BITS].
///
/// The JIT turns Vector API calls into instructions only where the species is a constant to it. So one source serves all widths by `static
/// final` fields that are set when this class is initialised, and tests run once per width, each in a JVM of its own.
///
/// A vector that lives across iterations of a loop is to the JIT a FloatVector of some width. Where such a one is the object of a call (`sum.add(x)`), the call is
/// compiled for every width that this JVM has used before, whoever did, and then the vectors of the loop may become objects. So the object of a call is a
/// vector just loaded, made or computed from such: `x.add(sum)`, and behind the loop `zero.add(sum)`.
///
/// Load it only where [VectorWidth#isVector()].
public final class Lanes {
    private static final VectorShape SHAPE = VectorShape.forBitSize(VectorWidth.BITS);

    public static final VectorSpecies<Float> F32 = VectorSpecies.of(float.class, SHAPE);
    public static final VectorSpecies<Integer> I32 = VectorSpecies.of(int.class, SHAPE);
    public static final VectorSpecies<Double> F64 = VectorSpecies.of(double.class, SHAPE);

    /// As many shorts as [#F32] has floats.
    public static final VectorSpecies<Short> I16 = VectorSpecies.of(short.class, VectorShape.forBitSize(VectorWidth.BITS / 2));

    /// As many bytes as [#F32] has floats; at 128 bits twice as many, because no vector is shorter than 64 bits.
    public static final VectorSpecies<Byte> I8 = VectorSpecies.of(byte.class, VectorShape.forBitSize(Math.max(64, VectorWidth.BITS / 4)));

    /// Floats in a vector.
    public static final int LENGTH = F32.length();

    /// Bytes of a vector.
    public static final int BYTES = F32.vectorByteSize();

    /// Memory order of every tensor.
    public static final ByteOrder ORDER = ByteOrder.LITTLE_ENDIAN;

    private static final VectorShuffle<Float> HALF = rotation(LENGTH / 2);
    private static final VectorShuffle<Float> QUARTER = rotation(LENGTH / 4);
    private static final VectorShuffle<Float> EIGHTH = rotation(LENGTH / 8);
    private static final VectorShuffle<Float> SIXTEENTH = rotation(LENGTH / 16);

    static {
        if (ByteOrder.nativeOrder() != ORDER) {
            throw new UnsupportedOperationException(
                    "the CPU backend needs a little-endian machine, this one is " + ByteOrder.nativeOrder());
        }
    }

    private Lanes() {}

    /// The sum of the lanes, in an order that never changes: halves are added until one lane is left.
    ///
    /// `reduceLanes(ADD)` leaves the order open, and indeed gives other bits once the JIT has compiled its caller; then the same seed
    /// would not give the same run.
    public static float sum(FloatVector v) {
        FloatVector s = FloatVector.zero(F32).add(v);
        s = s.add(s.rearrange(HALF));
        s = s.add(s.rearrange(QUARTER));
        if (LENGTH >= 8) {
            s = s.add(s.rearrange(EIGHTH));
        }
        if (LENGTH >= 16) {
            s = s.add(s.rearrange(SIXTEENTH));
        }
        return s.lane(0);
    }

    private static VectorShuffle<Float> rotation(int by) {
        return VectorShuffle.fromOp(F32, lane -> (lane + by) % LENGTH);
    }
}
