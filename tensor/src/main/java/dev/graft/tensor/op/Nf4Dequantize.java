package dev.graft.tensor.op;

import dev.graft.tensor.Call;
import dev.graft.tensor.DType;
import dev.graft.tensor.Gradients;
import dev.graft.tensor.Keep;
import dev.graft.tensor.Shape;
import dev.graft.tensor.ShapeException;
import dev.graft.tensor.Spec;
import dev.graft.tensor.Tensor;
import dev.graft.tensor.Wanted;
import java.util.List;
import java.util.stream.IntStream;

/// A weight `[rows, cols]` in the format [Nf4] as numbers.
///
/// ```
/// W[n, k] = VALUE[code[i]] · absmax[i/64]        i = n·cols + k
/// ```
/// codes: I8 `[⌈rows·cols/2⌉]`, then the scales of the `B = ⌈rows·cols/64⌉` blocks, absmax: F32 `[B]`, or quantised, absmax: I8 `[B]`, nested: F32
/// `[⌈B/256⌉]`, offset: F32 `[]`; W: in the type of the scales. No input has a gradient.
public record Nf4Dequantize(int rows, int cols) implements Composite {
    /// Both values of each byte.
    private static final float[] PAIRS = pairs();

    @Override
    public List<Spec> infer(List<Spec> in) {
        long values = (long) rows * cols, blocks = Math.ceilDiv(values, Nf4.BLOCK);
        if (in.size() != 2 && in.size() != 4) throw new ShapeException("the weight is codes, absmax or codes, absmax, nested, offset");
        boolean nested = in.size() == 4;
        require(in.get(0).dtype() == DType.I8 && in.get(0).shape().equals(shape(Math.ceilDiv(values, 2))),
                "codes must be i8 [" + Math.ceilDiv(values, 2) + "], two values each", in.get(0));
        require((nested ? in.get(1).dtype() == DType.I8 : in.get(1).dtype().isFloating()) && in.get(1).shape().equals(shape(blocks)),
                "absmax must be " + (nested ? "i8" : "f32") + " [" + blocks + "], one for " + Nf4.BLOCK + " values", in.get(1));
        if (nested) {
            long groups = Math.ceilDiv(blocks, Nf4.NESTED_BLOCK);
            require(in.get(2).dtype().isFloating() && in.get(2).shape().equals(shape(groups)),
                    "nested must be f32 [" + groups + "], one for " + Nf4.NESTED_BLOCK + " scales",
                    in.get(2));
            require(in.get(3).shape().rank() == 0 && in.get(3).dtype() == in.get(2).dtype(), "offset must be one number of nested's type",
                    in.get(3));
        }
        return List.of(new Spec(Shape.of(rows, cols), in.get(nested ? 2 : 1).dtype()));
    }

    private static Shape shape(long n) {
        return Shape.of(Math.toIntExact(n));
    }

    private static void require(boolean holds, String what, Spec got) {
        if (!holds) throw new ShapeException(what + ", got " + got);
    }

    @Override
    public Tensor define(List<Tensor> in) {
        Tensor absmax = absmax(in.subList(1, in.size()));
        Tensor values = Tensor.of(PAIRS, 256, 2).to(absmax.dtype()).gather(index(in.getFirst())).reshape(-1);
        int blocks = absmax.dim(0), size = Math.multiplyExact(rows, cols);
        Tensor scales = absmax.reshape(blocks, 1).expand(blocks, Nf4.BLOCK).reshape(-1);
        return values.slice(0, 0, size).mul(scales.slice(0, 0, size)).reshape(rows, cols);
    }

    @Override
    public Keep keep(Wanted wanted) {
        return Keep.NOTHING;
    }

    @Override
    public void vjp(Call c, Tensor dy, Gradients g) {
        g.constant(IntStream.range(0, c.inputs()).toArray());
    }

    /// The scales as numbers, `[B]`.
    public static Tensor absmax(List<Tensor> scales) {
        Tensor codes = scales.getFirst();
        if (scales.size() == 1) return codes;
        Tensor nested = scales.get(1);
        int groups = nested.dim(0);
        Tensor perBlock = nested.reshape(groups, 1).expand(groups, Nf4.NESTED_BLOCK).reshape(-1).slice(0, 0, codes.dim(0));
        float[] map = Nf4.dynamicValues();
        float[] ofBytes = new float[256];
        for (int i = 0; i < 256; i++) ofBytes[i] = map[i - 128 & 255];
        return Tensor.of(ofBytes, 256).to(nested.dtype()).gather(index(codes)).mul(perBlock).add(scales.get(2));
    }

    /// Bytes are signed: a table for them begins with -128.
    private static Tensor index(Tensor bytes) {
        return bytes.to(DType.I32).add(128);
    }

    private static float[] pairs() {
        float[] values = Nf4.values();
        float[] pairs = new float[512];
        for (int i = 0; i < 256; i++) {
            int b = i - 128 & 255;
            pairs[2 * i] = values[b >> 4];
            pairs[2 * i + 1] = values[b & 15];
        }
        return pairs;
    }
}
