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
import java.util.stream.Stream;

/// Product with a weight `[rows, cols]` stored in the format [Nf4].
///
/// ```
/// W[n, k] = VALUE[code[i]] · absmax[i/64],  i = n·cols + k        y = x Wᵀ when transposed (a linear layer), x W otherwise (its gradient)
/// ```
/// x: `[…, cols]` (or `[…, rows]`), codes: I8 `[⌈rows·cols/2⌉]`, then the scales of the `B = ⌈rows·cols/64⌉` blocks, absmax: F32 `[B]`, or quantised,
/// absmax: I8 `[B]`, nested: F32 `[⌈B/256⌉]`, offset: F32 `[]`. The weight is frozen: it has no gradient.
public record Nf4MatMul(int rows, int cols, boolean transposed) implements Composite {
    /// Both values of each byte.
    private static final float[] PAIRS = pairs();

    @Override
    public List<Spec> infer(List<Spec> in) {
        requireWeight(in.subList(1, in.size()));
        Shape x = in.get(0).shape();
        int inner = transposed ? cols : rows;
        if (x.rank() < 1 || x.dim(-1) != inner) throw new ShapeException("the last axis of x must be " + inner);
        return List.of(in.get(0).with(x.with(-1, transposed ? rows : cols)));
    }

    private void requireWeight(List<Spec> in) {
        long values = (long) rows * cols, blocks = Math.ceilDiv(values, Nf4.BLOCK);
        if (in.size() != 2 && in.size() != 4) throw new ShapeException("the weight is codes, absmax or codes, absmax, nested, offset");
        require(in.get(0).dtype() == DType.I8 && in.get(0).shape().equals(shape(Math.ceilDiv(values, 2))),
                "codes must be i8 [" + Math.ceilDiv(values, 2) + "], two values each", in.get(0));
        boolean nested = in.size() == 4;
        require((in.get(1).dtype() == DType.I8) == nested && in.get(1).shape().equals(shape(blocks)),
                "absmax must be " + (nested ? "i8" : "f32") + " [" + blocks + "], one for " + Nf4.BLOCK + " values", in.get(1));
        if (!nested) return;
        long groups = Math.ceilDiv(blocks, Nf4.NESTED_BLOCK);
        require(in.get(2).shape().equals(shape(groups)), "nested must be f32 [" + groups + "], one for " + Nf4.NESTED_BLOCK + " scales",
                in.get(2));
        require(in.get(3).shape().rank() == 0, "offset must be one number", in.get(3));
    }

    private static Shape shape(long n) {
        return Shape.of(Math.toIntExact(n));
    }

    private static void require(boolean holds, String what, Spec got) {
        if (!holds) throw new ShapeException(what + ", got " + got);
    }

    @Override
    public Tensor define(List<Tensor> in) {
        Tensor x = in.get(0);
        Tensor w = dequantize(Shape.of(rows, cols), in.subList(1, in.size())).to(x.dtype());
        Tensor flat = x.reshape(-1, x.dim(-1));
        Tensor y = transposed ? flat.matmulT(w) : flat.matmul(w);
        return y.reshape(x.shape().with(-1, y.dim(-1)));
    }

    @Override
    public Keep keep(Wanted wanted) {
        return Keep.inputs(1, 2, 3, 4);
    }

    @Override
    public void vjp(Call c, Tensor dy, Gradients g) {
        Stream<Tensor> weight = IntStream.range(1, c.inputs()).mapToObj(c::in);
        g.of(0, () -> new Nf4MatMul(rows, cols, !transposed).apply(Stream.concat(Stream.of(dy), weight).toArray(Tensor[]::new)));
        g.constant(IntStream.range(1, c.inputs()).toArray());
    }

    /// The weight, of codes and scales, in the type of the scales.
    public static Tensor dequantize(Shape shape, List<Tensor> weight) {
        Tensor absmax = absmax(weight.subList(1, weight.size()));
        Tensor values = Tensor.of(PAIRS, 256, 2).to(absmax.dtype()).gather(index(weight.getFirst())).reshape(-1);
        int blocks = absmax.dim(0);
        Tensor scales = absmax.reshape(blocks, 1).expand(blocks, Nf4.BLOCK).reshape(-1);
        int size = Math.toIntExact(shape.size());
        return values.slice(0, 0, size).mul(scales.slice(0, 0, size)).reshape(shape);
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
