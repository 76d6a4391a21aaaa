package dev.graft.models.io;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.fail;

import dev.graft.tensor.DType;
import dev.graft.tensor.Shape;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Random;
import java.util.function.IntToDoubleFunction;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

class ConversionTest {
    private static final int ALL = 1 << 16;

    @Test
    void everyBf16AndF16IsReadExactly() {
        short[] bits = new short[ALL];
        for (int i = 0; i < ALL; i++) bits[i] = (short) i;
        for (DType half : new DType[] {DType.BF16, DType.F16}) {
            float[] floats = new float[ALL];
            double[] doubles = new double[ALL];
            convert(bits, half, MemorySegment.ofArray(floats), DType.F32, ALL);
            convert(bits, half, MemorySegment.ofArray(doubles), DType.F64, ALL);
            for (int i = 0; i < ALL; i++) {
                double want = half == DType.BF16 ? bf16(i) : f16(i);
                if (Double.compare(floats[i], want) != 0 || Double.compare(doubles[i], want) != 0) {
                    fail("%s 0x%04x is %s, got %s and %s", half, i, want, floats[i], doubles[i]);
                }
            }
        }
    }

    @Test
    void aHalfReadAndWrittenBackKeepsItsBits() {
        short[] bits = new short[ALL];
        for (int i = 0; i < ALL; i++) bits[i] = (short) i;
        for (DType half : new DType[] {DType.BF16, DType.F16}) {
            for (DType wide : new DType[] {DType.F32, DType.F64}) {
                byte[] middle = new byte[ALL * wide.bytes()];
                short[] back = new short[ALL];
                convert(bits, half, MemorySegment.ofArray(middle), wide, ALL);
                Conversion.convert(MemorySegment.ofArray(middle), wide, MemorySegment.ofArray(back), half, ALL);
                for (int i = 0; i < ALL; i++) {
                    IntToDoubleFunction value = half == DType.BF16 ? ConversionTest::bf16 : ConversionTest::f16;
                    boolean same = Double.isNaN(value.applyAsDouble(i)) ? Double.isNaN(value.applyAsDouble(back[i] & 0xffff))
                            : back[i] == bits[i];
                    if (!same) fail("%s 0x%04x became 0x%04x through %s", half, i, back[i], wide);
                }
            }
        }
    }

    @Test
    void everyRoundingIsToTheNearestAndOnTiesToTheEven() {
        Random random = new Random(7);
        for (DType half : new DType[] {DType.BF16, DType.F16}) {
            double[] table = IntStream.range(0, 0x8000).mapToDouble(half == DType.BF16 ? ConversionTest::bf16 : ConversionTest::f16)
                    .toArray();
            IntToDoubleFunction value = i -> table[i];
            double[] inputs = awkward(value, random);
            float[] asFloats = new float[inputs.length];
            for (int i = 0; i < inputs.length; i++) asFloats[i] = (float) inputs[i];
            short[] fromDouble = new short[inputs.length], fromFloat = new short[inputs.length];
            Conversion.convert(MemorySegment.ofArray(inputs), DType.F64, MemorySegment.ofArray(fromDouble), half, inputs.length);
            Conversion.convert(MemorySegment.ofArray(asFloats), DType.F32, MemorySegment.ofArray(fromFloat), half, inputs.length);
            for (int i = 0; i < inputs.length; i++) {
                short want = nearest(inputs[i], value), wantFloat = nearest(asFloats[i], value);
                if (fromDouble[i] != want) fail("%s to %s is 0x%04x, got 0x%04x", inputs[i], half, want, fromDouble[i]);
                if (fromFloat[i] != wantFloat) fail("%s to %s is 0x%04x, got 0x%04x", asFloats[i], half, wantFloat, fromFloat[i]);
            }
        }
    }

    @Test
    void aNotANumberStaysOne() {
        int[] payloads = {0x7f800001, 0x7fffffff, 0xff800001, 0xffffffff, 0x7fc00000};
        for (int payload : payloads) {
            short[] half = new short[1];
            Conversion.convert(MemorySegment.ofArray(new int[] {payload}), DType.F32, MemorySegment.ofArray(half), DType.BF16, 1);
            assertThat(Double.isNaN(bf16(half[0] & 0xffff))).as("BF16 of 0x%08x", payload).isTrue();
            Conversion.convert(MemorySegment.ofArray(new int[] {payload}), DType.F32, MemorySegment.ofArray(half), DType.F16, 1);
            assertThat(Double.isNaN(f16(half[0] & 0xffff))).as("F16 of 0x%08x", payload).isTrue();
        }
        short[] half = new short[1];
        Conversion.convert(MemorySegment.ofArray(new double[] {Double.NaN}), DType.F64, MemorySegment.ofArray(half), DType.F16, 1);
        assertThat(Double.isNaN(f16(half[0] & 0xffff))).isTrue();
    }

    @Test
    void theSameTypeIsCopiedBitByBit() {
        int[] bits = {0x7f800001, 0xffffffff, 0x80000000, 1};
        int[] copy = new int[4];
        Conversion.convert(MemorySegment.ofArray(bits), DType.F32, MemorySegment.ofArray(copy), DType.F32, 4);
        assertThat(copy).isEqualTo(bits);
    }

    @Test
    void sizesAroundABlockAreReadWhole() {
        for (int n : new int[] {0, 1, 4095, 4096, 4097, 12289}) {
            short[] bits = new short[n];
            float[] floats = new float[n + 1];
            for (int i = 0; i < n; i++) bits[i] = (short) (0x3f80 + i % 97);
            floats[n] = -1;
            convert(bits, DType.BF16, MemorySegment.ofArray(floats).asSlice(0, 4L * n), DType.F32, n);
            for (int i = 0; i < n; i++) assertThat(floats[i]).isEqualTo((float) bf16(bits[i]));
            assertThat(floats[n]).as("nothing written behind the end").isEqualTo(-1);
        }
    }

    @Test
    void integersWiden() {
        byte[] bytes = {-128, -1, 0, 127};
        int[] ints = new int[4];
        long[] longs = new long[4];
        Conversion.convert(MemorySegment.ofArray(bytes), DType.I8, MemorySegment.ofArray(ints), DType.I32, 4);
        Conversion.convert(MemorySegment.ofArray(ints), DType.I32, MemorySegment.ofArray(longs), DType.I64, 4);
        assertThat(ints).containsExactly(-128, -1, 0, 127);
        assertThat(longs).containsExactly(-128, -1, 0, 127);
    }

    @Test
    void whatWouldLoseMoreThanRoundingIsRefused() {
        Entry ids = entry(StoredType.I64, 16), weight = entry(StoredType.F32, 8);
        assertThatThrownBy(() -> ids.read(DType.I32, MemorySegment.ofArray(new int[2]))).isInstanceOf(CheckpointException.class)
                .hasMessageContaining("'x' is stored as I64 and cannot be read as I32; it can be read as I64");
        assertThatThrownBy(() -> ids.read(DType.F32, MemorySegment.ofArray(new int[2]))).isInstanceOf(CheckpointException.class);
        assertThatThrownBy(() -> weight.read(DType.I8, MemorySegment.ofArray(new byte[2]))).isInstanceOf(CheckpointException.class)
                .hasMessageContaining("F64, F32, BF16, F16");
    }

    @Test
    void aTargetOfTheWrongSizeIsRefused() {
        assertThatThrownBy(() -> entry(StoredType.F32, 8).read(DType.F32, MemorySegment.ofArray(new float[3])))
                .isInstanceOf(IllegalArgumentException.class).hasMessageContaining("takes 8 bytes").hasMessageContaining("12");
    }

    private static Entry entry(StoredType type, int bytes) {
        return Entry.contiguous("x", type, Shape.of(2), Path.of("x.safetensors"), MemorySegment.ofArray(new byte[bytes]));
    }

    private static void convert(short[] bits, DType from, MemorySegment target, DType to, int n) {
        Conversion.convert(MemorySegment.ofArray(bits), from, target, to, n);
    }

    /// Every representable value, every midpoint of two neighbours, and what lies a hair on either side of them; beyond the range too.
    private static double[] awkward(IntToDoubleFunction value, Random random) {
        double[] inputs = new double[6 * 0x8000];
        int n = 0;
        for (int i = 0; i < 0x7fff; i++) {
            double low = value.applyAsDouble(i), high = value.applyAsDouble(i + 1);
            if (Double.isNaN(low) || Double.isNaN(high)) continue;
            if (Double.isInfinite(high)) high = 2 * low - value.applyAsDouble(i - 1);
            double middle = low + (high - low) / 2, sign = random.nextBoolean() ? 1 : -1;
            inputs[n++] = sign * low;
            inputs[n++] = sign * middle;
            inputs[n++] = sign * Math.nextUp(middle);
            inputs[n++] = sign * Math.nextDown(middle);
            inputs[n++] = sign * (low + (high - low) * random.nextDouble());
        }
        inputs[n++] = 1e300;
        inputs[n++] = -1e39;
        inputs[n++] = Double.MIN_VALUE;
        inputs[n++] = Double.POSITIVE_INFINITY;
        return Arrays.copyOf(inputs, n);
    }

    /// The bits of the representable value nearest to `x`, found by looking for it.
    private static short nearest(double x, IntToDoubleFunction value) {
        double size = Math.abs(x);
        int low = 0, infinity = 0x7c00;
        while (!Double.isInfinite(value.applyAsDouble(infinity))) infinity += 0x80; // 0x7c00 of F16, 0x7f80 of BF16
        int high = infinity;
        while (high - low > 1) {
            int middle = (low + high) / 2;
            if (value.applyAsDouble(middle) <= size) low = middle;
            else high = middle;
        }
        double below = value.applyAsDouble(low);
        double above = high == infinity ? 2 * below - value.applyAsDouble(low - 1) : value.applyAsDouble(high);
        int bits;
        if (Double.isInfinite(size)) bits = infinity;
        else if (size - below != above - size) bits = size - below < above - size ? low : high;
        else bits = low % 2 == 0 ? low : high;
        return (short) (bits | (Double.doubleToRawLongBits(x) < 0 ? 0x8000 : 0));
    }

    private static double bf16(int bits) {
        return value(bits & 0xffff, 8, 7, 127);
    }

    private static double f16(int bits) {
        return value(bits & 0xffff, 5, 10, 15);
    }

    /// IEEE 754, from its definition.
    private static double value(int bits, int exponentBits, int fractionBits, int bias) {
        int fraction = bits & (1 << fractionBits) - 1, exponent = bits >> fractionBits & (1 << exponentBits) - 1;
        double sign = bits >> 15 == 0 ? 1 : -1;
        if (exponent == (1 << exponentBits) - 1) return fraction == 0 ? sign * Double.POSITIVE_INFINITY : Double.NaN;
        if (exponent == 0) return sign * fraction * Math.pow(2, 1 - bias - fractionBits);
        return sign * ((1 << fractionBits) + fraction) * Math.pow(2, exponent - bias - fractionBits);
    }
}
