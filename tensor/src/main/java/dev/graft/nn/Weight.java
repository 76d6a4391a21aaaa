package dev.graft.nn;

import dev.graft.tensor.DType;
import dev.graft.tensor.Scope;
import dev.graft.tensor.Shape;
import dev.graft.tensor.Spec;
import dev.graft.tensor.Tensor;
import dev.graft.tensor.TensorException;
import dev.graft.tensor.op.Nf4Dequantize;
import dev.graft.tensor.op.Nf4MatMul;
import dev.graft.tensor.op.Q8MatMul;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/// How a parameter's values are stored. Whatever the form, the arithmetic is F32 (or F64).
public sealed interface Weight {

    /// The shape of the values.
    Shape shape();

    /// `x Wᵀ` for a matrix `[out, in]`.
    Tensor linear(Tensor x);

    /// The values as a floating tensor; a fresh one unless they are stored so.
    Tensor dense();

    /// The tensors that hold them.
    Stream<Tensor> tensors();

    /// Bytes in memory.
    default long bytes() {
        return tensors().mapToLong(t -> t.spec().bytes()).sum();
    }

    /// `f32`, `bf16`, `q8`, `nf4`.
    String format();

    /// Whether it is stored in few bits, so that a change is rounded away in part.
    default boolean isQuantised() {
        return !(this instanceof Dense);
    }

    /// A floating tensor, used as it is; 16-bit ones are widened inside the product.
    record Dense(Tensor value) implements Weight {
        @Override
        public Shape shape() {
            return value.shape();
        }

        @Override
        public Tensor linear(Tensor x) {
            return x.matmulT(value);
        }

        @Override
        public Tensor dense() {
            return value;
        }

        @Override
        public Stream<Tensor> tensors() {
            return Stream.of(value);
        }

        @Override
        public String format() {
            return value.dtype().toString();
        }
    }

    /// Blocks of 32 int8 values with a scale each: `w ≈ scale · q`, `scale = max |w| / 127` per block. 9/8 bytes a value. Frozen.
    record Q8(Tensor q, Tensor scale) implements Weight {
        private static final int CHUNK = 1 << 22;

        /// The nearest values to a matrix `[N, K]`, worked out some rows at a time: a large one is not held in F32.
        public static Q8 of(Tensor w) {
            int n = w.dim(0);
            int k = w.dim(1);
            int blocks = (k + Q8MatMul.BLOCK - 1) / Q8MatMul.BLOCK;
            Tensor q = Tensor.zeros(new Spec(w.shape(), DType.I8));
            Tensor scale = Tensor.zeros(DType.F32, n, blocks);
            int step = Math.max(1, CHUNK / Math.max(1, k));
            for (int row = 0; row < n; row += step) {
                int end = Math.min(n, row + step);
                try (var _ = Scope.untracked()) {
                    float[] values = w.slice(0, row, end).toFloats();
                    byte[] quants = new byte[values.length];
                    float[] scales = new float[(end - row) * blocks];
                    IntStream.range(0, scales.length).parallel().forEach(b -> {
                        int from = b / blocks * k + b % blocks * Q8MatMul.BLOCK;
                        int to = Math.min(from + Q8MatMul.BLOCK, (b / blocks + 1) * k);
                        scales[b] = quantize(values, quants, from, to);
                    });
                    q.slice(0, row, end).assign(Tensor.of(MemorySegment.ofArray(quants), new Spec(Shape.of(end - row, k), DType.I8)));
                    scale.slice(0, row, end).assign(Tensor.of(scales, end - row, blocks));
                }
            }
            return new Q8(q, scale);
        }

        /// One block; returns its scale.
        private static float quantize(float[] values, byte[] quants, int from, int to) {
            float max = 0;
            for (int i = from; i < to; i++) max = Math.max(max, Math.abs(values[i]));
            if (!Float.isFinite(max)) throw new TensorException("a weight that is NaN or infinite cannot be stored as q8");
            float scale = max / 127;
            for (int i = from; i < to; i++) quants[i] = scale == 0 ? 0 : (byte) Math.clamp(Math.round(values[i] / scale), -127, 127); // a subnormal scale is rounded
            return scale;
        }

        @Override
        public Shape shape() {
            return q.shape();
        }

        @Override
        public Tensor linear(Tensor x) {
            return new Q8MatMul(true).apply(x, q, scale);
        }

        @Override
        public Tensor dense() {
            return Q8MatMul.dequantize(q, scale);
        }

        @Override
        public Stream<Tensor> tensors() {
            return Stream.of(q, scale);
        }

        @Override
        public String format() {
            return "q8";
        }
    }

    /// [Nf4][dev.graft.tensor.op.Nf4]: 16 values by quantiles of the normal distribution, blocks of 64 with a scale each. Frozen.
    ///
    /// @param shape `[N, K]`
    /// @param parts codes, absmax; or codes, absmax, nested, offset where the scales are quantised too: see [Nf4Dequantize]
    record Nf4(Shape shape, List<Tensor> parts) implements Weight {
        public Nf4 {
            parts = List.copyOf(parts);
        }

        /// The nearest values to a matrix, scales quantised: 4.127 bits a value. A large one is not held in F32.
        public static Nf4 of(Tensor w) {
            return of(w, true);
        }

        /// @param nested whether scales are quantised in their turn; 4.5 bits a value if not
        public static Nf4 of(Tensor w, boolean nested) {
            if (w.shape().rank() != 2) throw new TensorException("only a matrix is stored as nf4, got " + w.spec());
            return new Nf4(w.shape(), Nf4Encoding.of(w, nested));
        }

        /// Whether scales are quantised.
        public boolean isNested() {
            return parts.size() > 2;
        }

        @Override
        public Tensor linear(Tensor x) {
            List<Tensor> in = new ArrayList<>(List.of(x));
            in.addAll(parts);
            return new Nf4MatMul(shape.dim(0), shape.dim(1), true).apply(in.toArray(Tensor[]::new));
        }

        @Override
        public Tensor dense() {
            return new Nf4Dequantize(shape.dim(0), shape.dim(1)).apply(parts.toArray(Tensor[]::new));
        }

        @Override
        public Stream<Tensor> tensors() {
            return parts.stream();
        }

        @Override
        public String format() {
            return "nf4";
        }
    }
}
