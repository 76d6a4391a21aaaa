package dev.graft.tensor.op;

import dev.graft.tensor.DType;
import dev.graft.tensor.Shape;
import dev.graft.tensor.Spec;
import dev.graft.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Function;
import java.util.stream.IntStream;

/// The cases every op is judged by: on every backend, in every type, by value and by gradient. Adding an op adds a line here.
public final class OpCases {
    /// One op with recipes for its inputs.
    public record Case(Op op, List<Input> recipes) {
        /// Fresh inputs on the current scope's backend; floating ones in this type.
        public List<Tensor> inputs(DType dtype) {
            List<Tensor> in = new ArrayList<>();
            for (int i = 0; i < recipes.size(); i++) in.add(recipes.get(i).make(dtype, 31L * i + 1));
            return in;
        }

        /// Whether an input is a constant of the op, without a gradient.
        public boolean isConstant(int input) {
            return recipes.get(input) instanceof Constant;
        }

        @Override
        public String toString() {
            return op + " " + recipes;
        }
    }

    /// How one input is made.
    public interface Input {
        Tensor make(DType dtype, long seed);
    }

    private record Normal(Shape shape) implements Input {
        @Override
        public Tensor make(DType dtype, long seed) {
            return Tensor.randn(DType.F64, shape, seed).to(dtype);
        }

        @Override
        public String toString() {
            return shape.toString();
        }
    }

    /// Not to be differentiated though it floats.
    private record Constant(Input values) implements Input {
        @Override
        public Tensor make(DType dtype, long seed) {
            return values.make(dtype, seed);
        }

        @Override
        public String toString() {
            return "constant " + values;
        }
    }

    private record Uniform(Shape shape) implements Input {
        @Override
        public Tensor make(DType dtype, long seed) {
            return Tensor.uniform(DType.F64, shape, seed).to(dtype);
        }

        @Override
        public String toString() {
            return shape.toString();
        }
    }

    private record Made(String text, Function<DType, Tensor> maker) implements Input {
        @Override
        public Tensor make(DType dtype, long seed) {
            return maker.apply(dtype);
        }

        @Override
        public String toString() {
            return text;
        }
    }

    /// A weight stored in 16 bits, whatever the type of the rest.
    private record Stored(DType type, Shape shape) implements Input {
        @Override
        public Tensor make(DType dtype, long seed) {
            Tensor stored = Tensor.randn(DType.F64, shape, seed).to(type);
            return dtype == DType.F64 ? stored.to(DType.F64) : stored;
        }

        @Override
        public String toString() {
            return type.toString() + shape;
        }
    }

    private OpCases() {
    }

    /// Normal values.
    static Input x(int... dims) {
        return new Normal(Shape.of(dims));
    }

    /// Values in 0.5 … 2.5.
    static Input positive(int... dims) {
        return new Made("positive" + Shape.of(dims), t -> Tensor.uniform(DType.F64, Shape.of(dims), 5).mul(2).add(0.5).to(t));
    }

    /// p, m, v and g of so many tensors, of 1, 2, 3 … elements.
    private static Input[] learned(int tensors) {
        return IntStream.range(0, 4 * tensors).mapToObj(i -> i / tensors == 2 ? positive(i % tensors + 1) : x(i % tensors + 1))
                .toArray(Input[]::new);
    }

    /// Indices below n.
    private static Input skew(int... dims) {
        return new Made("skew" + Shape.of(dims), t -> {
            Tensor m = Tensor.randn(DType.F64, Shape.of(dims), 7);
            return m.sub(m.transpose(-1, -2)).to(t);
        });
    }

    static Input ids(int n, int... dims) {
        return new Made("ids" + Shape.of(dims), _ -> {
            int size = (int) Shape.of(dims).size();
            return Tensor.of(IntStream.range(0, size).map(i -> Math.floorMod(i * 7 + 3, n)).toArray()).reshape(dims);
        });
    }

    /// Runs of rows by their bounds.
    private static GroupedLowRank lowRanks(int... bounds) {
        return new GroupedLowRank(IntStream.range(0, bounds.length / 2)
                .mapToObj(g -> new GroupedLowRank.Run(bounds[2 * g], bounds[2 * g + 1], 0.5 + g)).toList());
    }

    static Case of(Op op, Input... inputs) {
        return new Case(op, List.of(inputs));
    }

    /// Every case. Sizes are odd on purpose: 1, primes, one off a vector.
    public static List<Case> all() {
        List<Case> cases = new ArrayList<>();
        for (Unary f : Unary.values()) {
            boolean positive = f == Unary.SQRT || f == Unary.RSQRT || f == Unary.LOG || f == Unary.RECIP || f == Unary.ABS
                    || f == Unary.SIGN || f == Unary.RELU;
            for (int[] d : new int[][] {{1}, {3, 5}, {17}, {33}}) cases.add(of(f, positive ? positive(d) : x(d)));
        }
        for (Binary f : List.of(Binary.ADD, Binary.SUB, Binary.MUL, Binary.DIV, Binary.MAX, Binary.MIN)) {
            cases.add(of(f, x(1), positive(1)));
            cases.add(of(f, x(3, 17), positive(3, 17)));
            cases.add(of(f, x(3, 17), positive(17)));
            cases.add(of(f, x(3, 1), positive(1, 7)));
            cases.add(of(f, x(2, 3, 5), positive(3, 1)));
            cases.add(of(f, x(5), positive()));
        }
        cases.add(of(new Affine(1.7, -0.3), x(3, 7)));
        for (int axis = 0; axis < 3; axis++) {
            cases.add(of(new Reduce(Reduce.Law.SUM, axis), x(3, 5, 7)));
            cases.add(of(new Reduce(Reduce.Law.MAX, axis), x(3, 5, 7)));
        }
        for (boolean ta : new boolean[] {false, true}) {
            for (boolean tb : new boolean[] {false, true}) {
                cases.add(of(new MatMul(ta, tb), ta ? x(5, 3) : x(3, 5), tb ? x(7, 5) : x(5, 7)));
                cases.add(of(new MatMul(ta, tb), ta ? x(2, 5, 3) : x(2, 3, 5), tb ? x(7, 5) : x(5, 7)));
                cases.add(of(new MatMul(ta, tb), ta ? x(2, 1, 5, 3) : x(2, 1, 3, 5), tb ? x(1, 3, 2, 5) : x(1, 3, 5, 2)));
                cases.add(of(new MatMul(ta, tb), ta ? x(2, 2, 5, 3) : x(2, 2, 3, 5), tb ? x(2, 2, 2, 5) : x(2, 2, 5, 2)));
                cases.add(of(new MatMul(ta, tb), x(1, 1), x(1, 1)));
            }
        }
        cases.add(of(new Where(), ids(2, 3, 5), x(3, 5), x(5)));
        for (int r : new int[] {0, 1, 8, 17, 33}) {
            cases.add(of(new AddMm(0.7), x(2, 3, 5), x(2, 3, r), x(5, r)));
            cases.add(of(new AddMm(1), x(37, 41), x(37, r), x(41, r)));
        }
        cases.add(of(lowRanks(0, 1, 2, 4), x(5, 2, 7), x(5, 2, 3), x(1, 3), x(7, 1), x(2, 3), x(7, 2)));
        cases.add(of(lowRanks(0, 2), x(2, 3), x(2, 5), x(4, 5), x(3, 4)));
        cases.add(of(lowRanks(), x(3, 1), x(3, 1)));
        cases.add(of(new Unlikelihood(), positive(3, 17)));
        cases.add(of(new Gather(), x(5, 3), ids(5, 2, 4)));
        cases.add(of(new Gather(), x(7), ids(7, 3)));
        cases.add(of(new ScatterAdd(4), ids(4, 7), x(7, 3)));
        for (int[] d : new int[][] {{1, 1}, {2, 2}, {3, 5, 5}, {2, 2, 7, 7}}) cases.add(of(new Cayley(), skew(d)));
        cases.add(of(new Cat(1), x(2, 3, 2), x(2, 1, 2), x(2, 4, 2)));
        cases.add(of(new Copy(), x(3, 5)));
        cases.add(of(new Reshape(Shape.of(5, 3)), x(3, 5)));
        cases.add(of(new Permute(List.of(2, 0, 1)), x(2, 3, 5)));
        cases.add(of(new Slice(1, 1, 3), x(2, 5, 3)));
        cases.add(of(new Expand(Shape.of(4, 3, 5)), x(3, 1)));
        for (int[] d : new int[][] {{1, 1}, {3, 5}, {2, 3, 17}, {5, 33}}) {
            cases.add(of(new Softmax(), x(d)));
            cases.add(of(new LogSoftmax(), x(d)));
            for (boolean reverse : new boolean[] {false, true}) cases.add(of(new Cumsum(reverse), x(d)));
            int c = d[d.length - 1];
            cases.add(of(new RmsNorm(c == 1 ? 0.1 : 1e-5), x(d), x(c)));
            cases.add(of(new LayerNorm(c == 1 ? 0.1 : 1e-5), x(d), x(c), x(c)));
            cases.add(of(new SwiGlu(), x(d), x(d)));
            cases.add(of(new Dropout(0.3, 11), x(d)));
            cases.add(of(new Perturb(0.7, -0.3, 11), x(d)));
            cases.add(of(new SquaredNorms(), x(d), x(3), x(d)));
        }
        for (boolean interleaved : new boolean[] {false, true}) {
            cases.add(of(new Rope(interleaved, false), x(2, 3, 3, 8), angles(5, 4), angles(5, 4), ids(5, 2, 3)));
            cases.add(of(new Rope(interleaved, false), x(1, 3, 2, 7), angles(5, 2), angles(5, 2), ids(5, 1, 3)));
            cases.add(of(new Rope(interleaved, true), x(1, 1, 1, 2), angles(5, 1), angles(5, 1), ids(5, 1, 1)));
        }
        cases.add(of(new Attention(0.5, true, false, false), x(2, 3, 4, 5), x(2, 3, 2, 5), x(2, 3, 2, 5)));
        cases.add(of(new Attention(0.4, true, false, false), x(1, 2, 2, 3), x(1, 5, 1, 3), x(1, 5, 1, 3)));
        cases.add(of(new Attention(1, false, false, false), x(1, 3, 1, 1), x(1, 2, 1, 1), x(1, 2, 1, 1)));
        cases.add(of(new Attention(0.5, true, true, false), x(2, 5, 3, 4), x(2, 5, 3, 4), x(2, 5, 3, 4), mask(2, 5)));
        cases.add(of(new Attention(0.5, true, true, true), x(2, 5, 4, 3), x(2, 5, 2, 3), x(2, 5, 2, 3), mask(2, 5), constant(2, 4, 1, 5)));
        cases.add(of(new Attention(0.5, false, false, true), x(1, 2, 2, 3), x(1, 4, 2, 3), x(1, 4, 2, 3), constant(1, 1, 2, 4)));
        cases.add(of(new Attention(0.5, true, false, false), x(1, 3, 4, 5), stored(1, 3, 2, 5), stored(1, 3, 2, 5)));
        cases.add(of(new MatMul(false, true), x(2, 3, 5), stored(7, 5)));
        cases.add(of(new MatMul(false, false), x(3, 5), stored(5, 7)));
        cases.add(of(new MatMul(true, false), stored(5, 3), x(5, 7)));
        for (int rows : new int[] {1, 3}) cases.add(of(new MatMul(false, true), x(rows, 5), new Stored(DType.F16, Shape.of(7, 5))));
        cases.add(of(new Reduce(Reduce.Law.SUM, 1), x(1, 700)));
        cases.add(of(new Attention(0.5, false, false, true), x(1, 3, 2, 5), x(1, 4, 2, 5), x(1, 4, 2, 5), blocking(3, 4)));
        for (int k : new int[] {1, 31, 33, 48, 65}) {
            cases.add(of(new Q8MatMul(true), x(2, 3, k), quants(5, k), constant(5, (k + 31) / 32)));
            cases.add(of(new Q8MatMul(true), x(1, k), quants(5, k), constant(5, (k + 31) / 32)));
            cases.add(of(new Q8MatMul(false), x(3, 5), quants(5, k), constant(5, (k + 31) / 32)));
        }
        for (int[] w : NF4_WEIGHTS) {
            for (boolean nested : new boolean[] {false, true}) {
                cases.add(nf4(w[0], w[1], true, nested, x(2, 3, w[1])));
                cases.add(nf4(w[0], w[1], false, nested, x(3, w[0])));
            }
            cases.add(nf4(w[0], w[1], false, true, x(11, w[0])));
            cases.add(nf4(w[0], w[1], true, true, x(11, w[1])));
            cases.add(nf4(w[0], w[1], true, true, x(1, w[1])));
        }
        for (int[] d : new int[][] {{1, 1}, {3, 5}, {7, 33}}) {
            cases.add(of(new CrossEntropy(-100), x(d), ids(d[1], d[0])));
            cases.add(of(new CrossEntropy(0), x(d), ids(d[1], d[0])));
            cases.add(of(new LinearCrossEntropy(0, true), x(d), x(3, d[1]), ids(3, d[0])));
        }
        return cases;
    }

    /// The ops that compute gradients, as ops of their own; what they have no gradient of themselves is not asked for.
    public static List<Case> backward() {
        List<Case> cases = new ArrayList<>();
        for (int n : SIZES) {
            cases.add(of(new RmsNormGrad(), x(3, n), x(n), positive(3, 1), x(3, n)));
            cases.add(of(new LayerNormGrad(), x(3, n), x(n), x(3, 1), positive(3, 1), x(3, n)));
            cases.add(of(new SwiGluGrad(), x(3, n), x(3, n), x(3, n)));
            cases.add(of(new CrossEntropyGrad(1), x(3, n), ids(n, 3), positive(3), x(3)));
            cases.add(of(new AdamWStep(0.1, 0.9, 0.99, 1e-2, 0.01, 3), x(3, n), x(3, n), positive(3, n), x(3, n)));
            cases.add(of(new AdamMoments(0.9, 0.99), x(3, n), positive(3, n), x(3, n)));
            cases.add(of(new MoFoStep(0.1, 0.9, 0.99, 1e-2, 0.01, 0.7, 3), x(3, n), x(3, n), positive(3, n)));
            for (long k : new long[] {1, n, 2L * n + 1, 3L * n}) cases.add(of(new KthLargest(k), x(3, n)));
            cases.add(of(new AttentionGrad(new Attention(0.3, true, false, false)), x(1, n, 2, 3), x(1, n, 2, 3), positive(1, 2, n),
                    x(1, n, 2, 3),
                    x(1, n, 1, 3), x(1, n, 1, 3)));
            cases.add(of(new AttentionGrad(new Attention(0.3, false, true, false)), x(2, 2, 2, 5), x(2, 2, 2, 5), positive(2, 2, 2),
                    x(2, 2, 2, 5),
                    x(2, n, 2, 5), x(2, n, 2, 5), mask(2, n)));
            for (Unary f : Unary.values()) {
                boolean positive = f == Unary.LOG || f == Unary.SQRT || f == Unary.RSQRT || f == Unary.RECIP;
                cases.add(of(new UnaryGrad(f), positive ? positive(3, n) : x(3, n), x(3, n)));
            }
        }
        cases.add(of(new AdamWStep(0.1, 0.9, 0.99, 1e-8, 0, 1), x(40_001), x(40_001), positive(40_001), x(40_001)));
        cases.add(of(new AdamWStep(0.1, 0.9, 0.99, 1e-2, 0.01, 2), x(3), x(700), x(3), x(700), positive(3), positive(700), x(3), x(700)));
        cases.add(of(new AdamWStep(0.1, 0.9, 0.99, 1e-2, 0.01, 2), learned(57)));
        for (int rows : new int[] {9, 70}) {                                     // whole chunks of 16 or blocks of 64, more than one tile
            cases.add(of(new Q8MatMul(true), x(rows, 80), quants(67, 80), constant(67, 3)));
            cases.add(of(new Q8MatMul(false), x(rows, 67), quants(67, 80), constant(67, 3)));
            for (boolean transposed : new boolean[] {false, true})
                cases.add(nf4(67, 192, transposed, rows == 9, x(rows, transposed ? 192 : 67)));
        }
        Input[] tensors = new Input[241];
        for (int i = 0; i < tensors.length; i++) tensors[i] = x(i + 1);
        cases.add(of(new SquaredNorms(), tensors));
        cases.add(of(new SquaredNorms(), x(100_003), x(1), x(7, 3000)));
        for (long k : new long[] {1, 6_000, 100_003}) cases.add(of(new KthLargest(k), x(100_003)));
        return cases;
    }

    /// Blocks of 64 begin with a row, or inside of one; the last weight has more than 256 of them.
    private static final int[][] NF4_WEIGHTS = {{1, 1}, {5, 13}, {3, 43}, {3, 64}, {5, 128}, {67, 250}};

    /// Sizes at which kernels change their way: a vector (4, 8 or 16 numbers), four of them, a block; one less, one more.
    private static final int[] SIZES = {1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 47, 63, 64, 65, 127, 129};

    /// The same ops at many more sizes: too many for central differences.
    public static List<Case> sweep() {
        List<Case> cases = new ArrayList<>();
        for (int n : SIZES) {
            for (Unary f : Unary.values())
                cases.add(of(f, f == Unary.LOG || f == Unary.SQRT || f == Unary.RSQRT || f == Unary.RECIP ? positive(n) : x(n)));
            for (Binary f : Binary.values()) {
                cases.add(of(f, x(n), positive(n)));
                cases.add(of(f, x(3, n), positive(3, 1)));
                cases.add(of(f, x(3, 1), positive(n)));
            }
            cases.add(of(new Affine(0.7, 0.2), x(2, n)));
            cases.add(of(new Affine(-1, 0), x(n)));
            cases.add(of(new Where(), ids(2, 3, n), x(3, n), x(n)));
            for (Reduce.Law law : Reduce.Law.values()) {
                cases.add(of(new Reduce(law, 1), x(3, n)));
                cases.add(of(new Reduce(law, 0), x(3, n)));
                cases.add(of(new Reduce(law, 1), x(2, n, 5)));
            }
            cases.add(of(new Gather(), x(5, n), ids(5, 3)));
            cases.add(of(new ScatterAdd(3), ids(3, 5), x(5, n)));
            cases.add(of(new Cat(-1), x(3, n), x(3, 2)));
            cases.add(of(new Softmax(), x(3, n)));
            cases.add(of(new LogSoftmax(), x(3, n)));
            cases.add(of(new RmsNorm(0.1), x(3, n), x(n)));
            cases.add(of(new LayerNorm(0.1), x(3, n), x(n), x(n)));
            cases.add(of(new SwiGlu(), x(3, n), x(3, n)));
            cases.add(of(lowRanks(1, 2, 2, 3, 3, 6), x(7, 1, 5), x(7, 1, n), x(2, n), x(5, 2), x(3, n), x(5, 3), x(1, n), x(5, 1)));
            cases.add(of(lowRanks(0, 1), x(1, n, n), x(1, n, 33), x(n, 33), x(n, n)));
            cases.add(of(new Dropout(0.4, 5), x(3, n)));
            cases.add(of(new Perturb(0.9, 0.4, 5), x(3, n)));
            cases.add(of(new CrossEntropy(1), x(3, n), ids(n, 3)));
            for (boolean interleaved : new boolean[] {false, true}) {
                cases.add(of(new Rope(interleaved, false), x(1, 2, 3, 2 * n + 1), angles(5, n), angles(5, n), ids(5, 1, 2)));
            }
            cases.add(of(new MatMul(false, true), x(n, 33), x(5, 33)));
            cases.add(of(new MatMul(false, false), x(7, n), x(n, 17)));
            cases.add(of(new MatMul(true, false), x(9, 3), x(9, n)));
            cases.add(of(new MatMul(false, true), x(2, 3, n), x(2, n, n)));
            cases.add(of(new Attention(0.3, true, false, false), x(1, n, 2, 3), x(1, n, 1, 3), x(1, n, 1, 3)));
            cases.add(of(new Attention(0.3, false, true, false), x(2, 2, 2, 5), x(2, n, 2, 5), x(2, n, 2, 5), mask(2, n)));
            cases.add(of(new Attention(0.3, true, false, false), x(1, 1, 2, n), x(1, 6, 1, n), x(1, 6, 1, n)));
        }
        for (int[] w : NF4_WEIGHTS) {
            int blocks = Math.ceilDiv(w[0] * w[1], Nf4.BLOCK);
            Input codes = quants(Math.ceilDiv(w[0] * w[1], 2));
            cases.add(of(new Nf4Dequantize(w[0], w[1]), codes, constant(blocks)));
            cases.add(
                    of(new Nf4Dequantize(w[0], w[1]), codes, quants(blocks), constant(Math.ceilDiv(blocks, Nf4.NESTED_BLOCK)), constant()));
        }
        return cases;
    }

    /// Sizes beyond a kernel's blocks, where the work is shared among threads.
    public static List<Case> large() {
        List<Case> cases = new ArrayList<>();
        for (int n : new int[] {2047, 2049, 16_385, 100_003}) {
            cases.add(of(Unary.SILU, x(n)));
            cases.add(of(Binary.MUL, x(n), x(n)));
            cases.add(of(new SwiGlu(), x(n), x(n)));
            cases.add(of(new Dropout(0.4, 5), x(n)));
            cases.add(of(new Perturb(0.9, 0.4, 5), x(n)));
            for (Reduce.Law law : Reduce.Law.values()) cases.add(of(new Reduce(law, 0), x(n)));
            cases.add(of(new Softmax(), x(2, n)));
            cases.add(of(new CrossEntropy(1), x(2, n), ids(n, 2)));
            cases.add(of(new Cumsum(false), x(2, n)));
        }
        cases.add(of(Binary.ADD, x(257, 301), x(301)));
        cases.add(of(new Copy(), x(257, 301)));
        cases.add(of(new Permute(List.of(1, 0)), x(257, 301)));
        cases.add(of(new Copy(), new Constant(new Made("bf16 transposed",
                _ -> Tensor.randn(DType.F64, Shape.of(3, 57, 41), 1).to(DType.BF16).transpose(1, 2)))));
        for (int axis = 0; axis < 3; axis++) cases.add(of(new Reduce(Reduce.Law.SUM, axis), x(3, 600, 70)));
        cases.add(of(new Gather(), x(301, 257), ids(301, 400)));
        cases.add(of(new Gather(), quants(301, 33), ids(301, 40)));
        cases.add(of(new ScatterAdd(301), ids(301, 400), x(400, 257)));
        cases.add(of(new RmsNorm(1e-5), x(150, 301), x(301)));
        cases.add(of(new LayerNorm(1e-5), x(150, 301), x(301), x(301)));
        cases.add(of(new LogSoftmax(), x(150, 301)));
        for (int n : new int[] {1025, 4097}) {                                   // a row for many threads
            cases.add(of(new RmsNorm(1e-5), x(3, n), x(n)));
            cases.add(of(new LayerNorm(1e-5), x(3, n), x(n), x(n)));
            cases.add(of(new LogSoftmax(), x(3, n)));
        }
        cases.add(of(new Rope(false, false), x(2, 150, 4, 64), angles(5, 32), angles(5, 32), ids(5, 2, 150)));
        cases.add(of(new MatMul(false, true), x(130, 70), x(101, 70)));
        cases.add(of(lowRanks(0, 1, 1, 3, 4, 5), x(5, 3, 701), x(5, 3, 301), x(8, 301), x(701, 8), x(17, 301), x(701, 17), x(64, 301),
                x(701, 64)));
        cases.add(of(new Attention(0.125, true, false, false), x(2, 131, 4, 64), x(2, 131, 2, 64), x(2, 131, 2, 64)));
        cases.add(of(new Attention(0.125, true, true, false), x(1, 70, 2, 40), x(1, 600, 1, 40), x(1, 600, 1, 40), mask(1, 600)));
        cases.add(of(new Attention(0.125, true, false, false), x(2, 1, 8, 64), x(2, 700, 2, 64), x(2, 700, 2, 64)));
        for (int d : new int[] {80, 128, 160, 256})                              // wide heads, more queries and keys than a tile has
            cases.add(of(new Attention(0.1, true, false, false), x(1, 37, 2, d), x(1, 70, 1, d), x(1, 70, 1, d)));
        int runs = 70, d = 5;                                                    // an adapter of its own for each of many rows
        int[] bounds = IntStream.range(0, 2 * runs).map(i -> (i + 1) / 2).toArray();
        Input[] many = new Input[2 + 2 * runs];
        many[0] = x(runs, 1, d);
        many[1] = x(runs, 1, 3);
        for (int i = 0; i < runs; i++) {
            many[2 + 2 * i] = x(2, 3);
            many[3 + 2 * i] = x(d, 2);
        }
        cases.add(of(lowRanks(bounds), many));
        return cases;
    }

    /// Every case there is.
    public static List<Case> everything() {
        List<Case> cases = new ArrayList<>(all());
        cases.addAll(sweep());
        cases.addAll(large());
        return cases;
    }

    /// Cosines and sines need no gradient; any numbers do.
    private static Input angles(int... dims) {
        return constant(dims);
    }

    private static Input constant(int... dims) {
        return new Constant(new Uniform(Shape.of(dims)));
    }

    /// A bias that leaves the first query no key, and the second all but the first.
    private static Input blocking(int queries, int keys) {
        return new Constant(new Made("blocking" + Shape.of(1, 1, queries, keys), t -> Tensor.of(IntStream.range(0, queries * keys)
                .mapToDouble(i -> i < keys || i == keys ? -1e30 : 0).toArray(), 1, 1, queries, keys).to(t)));
    }

    private static Input stored(int... dims) {
        return new Stored(DType.BF16, Shape.of(dims));
    }

    /// Int8 values.
    private static Input quants(int... dims) {
        int size = (int) Shape.of(dims).size();
        return new Made("i8" + Shape.of(dims),
                _ -> Tensor.of(IntStream.range(0, size).map(i -> i * 37 % 255 - 127).toArray(), dims).to(DType.I8));
    }

    /// A product with an NF4 weight, its scales as numbers or quantised.
    private static Case nf4(int rows, int cols, boolean transposed, boolean nested, Input x) {
        int blocks = Math.ceilDiv(rows * cols, Nf4.BLOCK);
        Input codes = quants(Math.ceilDiv(rows * cols, 2));
        Op op = new Nf4MatMul(rows, cols, transposed);
        return nested ? of(op, x, codes, quants(blocks), constant(Math.ceilDiv(blocks, Nf4.NESTED_BLOCK)), constant())
                : of(op, x, codes, constant(blocks));
    }

    /// 0 for the first key of each even row, else 1: left padding. The first query of those rows sees nothing.
    private static Input mask(int rows, int keys) {
        return new Made("mask" + Shape.of(rows, keys),
                _ -> Tensor.of(IntStream.range(0, rows * keys).map(i -> i % keys == 0 && i / keys % 2 == 0 ? 0 : 1).toArray(), rows, keys));
    }
}
