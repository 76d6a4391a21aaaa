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

    private record Constant(Shape shape) implements Input {
        @Override
        public Tensor make(DType dtype, long seed) {
            return Tensor.uniform(DType.F64, shape, seed).to(dtype);
        }

        @Override
        public String toString() {
            return "constant" + shape;
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

    /// Indices below n.
    static Input ids(int n, int... dims) {
        return new Made("ids" + Shape.of(dims), _ -> {
            int size = (int) Shape.of(dims).size();
            return Tensor.of(IntStream.range(0, size).map(i -> Math.floorMod(i * 7 + 3, n)).toArray()).reshape(dims);
        });
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
                cases.add(of(new MatMul(ta, tb), x(1, 1), x(1, 1)));
            }
        }
        cases.add(of(new Where(), ids(2, 3, 5), x(3, 5), x(5)));
        cases.add(of(new Gather(), x(5, 3), ids(5, 2, 4)));
        cases.add(of(new Gather(), x(7), ids(7, 3)));
        cases.add(of(new ScatterAdd(4), ids(4, 7), x(7, 3)));
        cases.add(of(new Cat(1), x(2, 3, 2), x(2, 1, 2), x(2, 4, 2)));
        cases.add(of(new Copy(), x(3, 5)));
        cases.add(of(new Reshape(Shape.of(5, 3)), x(3, 5)));
        cases.add(of(new Permute(List.of(2, 0, 1)), x(2, 3, 5)));
        cases.add(of(new Slice(1, 1, 3), x(2, 5, 3)));
        cases.add(of(new Expand(Shape.of(4, 3, 5)), x(3, 1)));
        for (int[] d : new int[][] {{1, 1}, {3, 5}, {2, 3, 17}, {5, 33}}) {
            cases.add(of(new Softmax(), x(d)));
            cases.add(of(new LogSoftmax(), x(d)));
            int c = d[d.length - 1];
            cases.add(of(new RmsNorm(c == 1 ? 0.1 : 1e-5), x(d), x(c)));
            cases.add(of(new LayerNorm(c == 1 ? 0.1 : 1e-5), x(d), x(c), x(c)));
            cases.add(of(new SwiGlu(), x(d), x(d)));
            cases.add(of(new Dropout(0.3, 11), x(d)));
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
        for (int[] d : new int[][] {{1, 1}, {3, 5}, {7, 33}}) {
            cases.add(of(new CrossEntropy(-100), x(d), ids(d[1], d[0])));
            cases.add(of(new CrossEntropy(0), x(d), ids(d[1], d[0])));
            cases.add(of(new LinearCrossEntropy(0, true), x(d), x(3, d[1]), ids(3, d[0])));
        }
        return cases;
    }

    /// Cosines and sines need no gradient; any numbers do.
    private static Input angles(int... dims) {
        return constant(dims);
    }

    private static Input constant(int... dims) {
        return new Constant(Shape.of(dims));
    }

    /// 0 for the first key of each even row, else 1: left padding. The first query of those rows sees nothing.
    private static Input mask(int rows, int keys) {
        return new Made("mask" + Shape.of(rows, keys),
                _ -> Tensor.of(IntStream.range(0, rows * keys).map(i -> i % keys == 0 && i / keys % 2 == 0 ? 0 : 1).toArray(), rows, keys));
    }
}
