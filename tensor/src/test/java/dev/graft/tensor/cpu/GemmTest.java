package dev.graft.tensor.cpu;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.graft.tensor.DType;
import dev.graft.tensor.cpu.Sample.Layout;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.Random;
import java.util.random.RandomGenerator;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class GemmTest {
    /// One, primes, and one off the edges of tiles (4, 6, 12 rows; 8, 16, 32 columns), of vectors and of the stages of packing.
    private static final int[] SIZES = {1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 15, 16, 17, 23, 31, 32, 33, 37, 63, 64, 65, 97, 127, 129};

    private final RandomGenerator random = new Random(1);
    private final int threads = Parallel.threads();

    @AfterEach
    void threadsAsBefore() {
        Parallel.threads(threads);
    }

    @ParameterizedTest
    @EnumSource(names = {"F32", "BF16", "F16", "I8", "F64"})
    void isExactForEveryFormatLayoutAndSize(DType type) {
        DType computed = type == DType.F64 ? DType.F64 : DType.F32;
        for (int trial = 0; trial < 400; trial++) {
            check(random(SIZES), random(SIZES), random(SIZES), type, computed, Epilogue.PLAIN);
        }
    }

    @Test
    void bothOperandsMayBeWeights() {
        for (int trial = 0; trial < 200; trial++) {
            Layout la = layout(), lb = layout();
            DType ta = type(), tb = type();
            int m = random(SIZES), n = random(SIZES), k = random(SIZES);
            check(Sample.whole(ta, m, k, la, random), Sample.whole(tb, k, n, lb, random), layout(), DType.F32, Epilogue.PLAIN,
                    ta + " " + la + ", " + tb + " " + lb);
        }
    }

    @Test
    void fewRowsMeetWeightsOfEveryFormat() {
        for (DType type : List.of(DType.F32, DType.BF16, DType.F16, DType.I8)) {
            for (int m = 1; m <= 9; m++) {
                for (int n : new int[] {1, 3, 4, 5, 16, 19, 33}) {
                    for (int k : new int[] {63, 64, 65, 95, 96, 321}) {
                        Layout lb = n % 2 == 0 ? Layout.COLUMNS : layout();
                        Matrix x = Sample.whole(DType.F32, m, k, layout(), random), w = Sample.whole(type, k, n, lb, random);
                        Epilogue epilogue = k == 65 ? Epilogue.scaled(-2).accumulating().plus(bias(n, DType.F32)) : Epilogue.PLAIN;
                        check(x, w, layout(), DType.F32, epilogue, "%s %s[%d, %d, %d]".formatted(type, lb, m, n, k));
                    }
                }
            }
        }
    }

    /// Rows of whole blocks are read in place, others are packed; both as they are and transposed, of more scales than share one.
    @Test
    void nf4IsExactWhereverItsBlocksBegin() {
        for (Layout layout : List.of(Layout.ROWS, Layout.COLUMNS)) {
            for (int m : new int[] {1, 2, 5, 8, 9, 33}) {
                for (int n : new int[] {1, 3, 16, 19, 33, 130}) {
                    for (int k : new int[] {1, 31, 63, 64, 65, 95, 128, 192, 321, 2049, 2112}) {
                        Matrix x = Sample.whole(DType.F32, m, k, layout(), random), w = Sample.nf4(k, n, layout, random);
                        check(x, w, layout(), DType.F32, Epilogue.PLAIN, "nf4 %s[%d, %d, %d]".formatted(layout, m, n, k));
                    }
                }
            }
        }
    }

    @Test
    void longContractionsAreSummedInStretches() {
        for (int k : new int[] {2047, 2048, 2049, 4099}) {
            for (int m : new int[] {3, 13, 40}) {
                for (int n : new int[] {7, 35}) {
                    check(m, n, k, DType.F32, DType.F32, Epilogue.ACCUMULATE.plus(bias(n, DType.F32)));
                    check(m, n, k, DType.F32, DType.F32, Epilogue.scaled(0.5).plus(bias(n, DType.F32)));
                    check(m, n, k, DType.BF16, DType.F32, Epilogue.PLAIN);
                }
            }
        }
    }

    @Test
    void manyRowsArePackedInStretches() {
        for (int m : new int[] {1031, 1032, 1033, 2069}) {
            check(m, 33, 19, DType.F32, DType.F32, Epilogue.PLAIN);
            check(m, 5, 67, DType.F32, DType.F32, Epilogue.PLAIN);
        }
    }

    @Test
    void scalesAddsAndAccumulates() {
        for (int trial = 0; trial < 300; trial++) {
            int n = random(SIZES);
            DType type = random.nextInt(4) == 0 ? DType.F64 : DType.F32;
            double alpha = new double[] {1, 0, -2, 0.25}[random.nextInt(4)];
            Epilogue epilogue = new Epilogue(alpha, random.nextBoolean(), random.nextBoolean() ? bias(n, type) : null);
            check(random(SIZES), n, random(SIZES), type, type, epilogue);
        }
    }

    @Test
    void anEmptyContractionGivesZeroOrTheBias() {
        for (DType type : List.of(DType.F32, DType.F64)) {
            for (int n : new int[] {1, 8, 33}) {
                check(5, n, 0, type, type, Epilogue.PLAIN);
                check(5, n, 0, type, type, Epilogue.ACCUMULATE.plus(bias(n, type)));
            }
        }
    }

    @Test
    void anEmptyResultIsLeftAlone() {
        check(0, 5, 7, DType.F32, DType.F32, Epilogue.PLAIN);
        check(5, 0, 7, DType.F32, DType.F32, Epilogue.PLAIN);
        check(0, 5, 7, DType.F64, DType.F64, Epilogue.PLAIN);
    }

    @Test
    void roundsAsSumsOfFloatsDo() {
        for (int[] s : new int[][] {{1, 65, 4096}, {3, 33, 1000}, {65, 67, 3001}}) {
            Matrix a = Sample.rough(s[0], s[2], Layout.ROWS, random), b = Sample.rough(s[2], s[1], Layout.COLUMNS, random);
            Matrix c = Sample.poisoned(DType.F32, s[0], s[1], Layout.ROWS);
            Gemm.multiply(a, b, c);
            // A sum of k products of numbers in ±1 has a deviation of √k/3; its rounding errors, of some 2⁻²⁴ of that each, add up like a
            // random walk at worst.
            Sample.assertHolds(c, Sample.expected(a, b, c, Epilogue.PLAIN), s[2] * 0x1p-24, "rough");
        }
    }

    @Test
    void threadsDoNotShowInTheBits() {
        int[][] shapes = {{1, 3001, 700}, {4, 1999, 320}, {257, 8, 700}, {8, 700, 257}, {300, 40, 2100}, {131, 517, 260},
                {40, 1000, 300}, {1100, 70, 130}};
        for (int[] s : shapes) {
            for (Layout la : List.of(Layout.ROWS, Layout.COLUMNS)) {
                for (Layout lb : List.of(Layout.ROWS, Layout.COLUMNS)) {
                    Matrix a = Sample.rough(s[0], s[2], la, random), b = Sample.rough(s[2], s[1], lb, random);
                    Matrix once = product(a, b, 1);
                    for (int n : new int[] {1, 2, 3, 7}) {
                        assertThat(product(a, b, n).segment().mismatch(once.segment())).as("%s · %s with %d threads", a, b, n)
                                .isEqualTo(-1);
                    }
                }
            }
        }
    }

    @Test
    void threadsDoNotShowInTheBitsOfF64() {
        Matrix a = Sample.whole(DType.F64, 130, 600, Layout.ROWS, random), b = Sample.whole(DType.F64, 600, 70, Layout.ROWS, random);
        for (int i = 0; i < 130; i++) {
            Sample.set(a, i, i, random.nextDouble());
        }
        Matrix once = product(a, b, 1);
        assertThat(product(a, b, 3).segment().mismatch(once.segment())).isEqualTo(-1);
    }

    @Test
    void batchesAreProductsSideBySide() {
        for (int count : new int[] {1, 2, 3, 17}) {
            for (int[] s : new int[][] {{5, 9, 3}, {64, 64, 32}, {150, 150, 150}}) {
                List<Gemm.Product> products = IntStream.range(0, count)
                        .mapToObj(i -> new Gemm.Product(
                                Sample.whole(DType.F32, s[0], s[2], layout(), random),
                                Sample.whole(DType.F32, s[2], s[1], layout(), random),
                                Sample.poisoned(DType.F32, s[0], s[1], layout())))
                        .toList();
                Parallel.threads(2);
                Gemm.batch(count, products::get, Epilogue.scaled(2));
                for (Gemm.Product p : products) {
                    Sample.assertHolds(p.c(), Sample.expected(p.a(), p.b(), p.c(), Epilogue.scaled(2)), 0, "batch of " + count);
                }
            }
        }
        Gemm.batch(0, i -> {
            throw new AssertionError("there is no product " + i);
        }, Epilogue.PLAIN);
    }

    @Test
    void callersOnSeveralThreadsDoNotDisturbEachOther() throws InterruptedException {
        Parallel.threads(2);
        Matrix a = Sample.rough(150, 200, Layout.ROWS, random), b = Sample.rough(200, 170, Layout.COLUMNS, random);
        Matrix once = product(a, b, 2);
        List<Matrix> results = IntStream.range(0, 4).mapToObj(i -> Sample.poisoned(DType.F32, 150, 170, Layout.ROWS)).toList();
        List<Thread> callers = results.stream().map(c -> Thread.ofPlatform().start(() -> {
            for (int i = 0; i < 20; i++) {
                Gemm.multiply(a, b, c);
            }
        })).toList();
        for (Thread caller : callers) {
            caller.join();
        }
        for (Matrix c : results) {
            assertThat(c.segment().mismatch(once.segment())).isEqualTo(-1);
        }
    }

    @Test
    void saysWhichOperandIsWrong() {
        MemorySegment memory = Arena.ofAuto().allocate(4096, 64);
        Matrix a = Matrix.f32(memory, 0, 3, 5), b = Matrix.f32(memory, 0, 4, 2), c = Matrix.f32(memory, 0, 3, 2);
        assertThatThrownBy(() -> Gemm.multiply(a, b, c))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessage(
                        "a product needs [M, K]·[K, N] = [M, N], got "
                                + "f32[3, 5] with strides [5, 1] · f32[4, 2] with strides [2, 1] = f32[3, 2] with strides [2, 1]");
        Matrix half = Matrix.of(DType.BF16, memory, 0, 3, 2, 2, 1);
        assertThatThrownBy(() -> Gemm.multiply(Matrix.f32(memory, 0, 3, 4), b, half))
                .hasMessageContaining("a product is f32, or f64 in all operands");
        Matrix broadcast = Matrix.of(DType.F32, memory, 0, 3, 2, 0, 1);
        assertThatThrownBy(() -> Gemm.multiply(Matrix.f32(memory, 0, 3, 4), b, broadcast)).hasMessageContaining("must not be broadcast");
        assertThatThrownBy(() -> Gemm.multiply(Matrix.f32(memory, 0, 3, 4), b, c, Epilogue.PLAIN.plus(Matrix.f32(memory, 0, 1, 3))))
                .hasMessageContaining("bias of a product must be f32[1, 2], got f32[1, 3]");
    }

    private Matrix product(Matrix a, Matrix b, int threads) {
        Parallel.threads(threads);
        Matrix c = Sample.poisoned(a.type(), a.rows(), b.cols(), Layout.ROWS);
        Gemm.multiply(a, b, c);
        return c;
    }

    private void check(int m, int n, int k, DType weights, DType computed, Epilogue epilogue) {
        Layout la = layout(), lb = layout();
        String what = "%s %s[%d, %d, %d], %s · %s, %s".formatted(computed, weights, m, n, k, la, lb, epilogue);
        check(Sample.whole(computed, m, k, la, random), Sample.whole(weights, k, n, lb, random), layout(), computed, epilogue, what);
    }

    private void check(Matrix a, Matrix b, Layout layout, DType type, Epilogue epilogue, String what) {
        Parallel.threads(random.nextInt(1, 4));
        Matrix c = epilogue.accumulate() ? Sample.whole(type, a.rows(), b.cols(), layout, random)
                : Sample.poisoned(type, a.rows(), b.cols(), layout);
        double[][] expected = Sample.expected(a, b, c, epilogue);
        Gemm.multiply(a, b, c, epilogue);
        Sample.assertHolds(c, expected, 0, what + " in " + layout);
    }

    private Matrix bias(int n, DType type) {
        return Sample.whole(type, 1, n, random.nextBoolean() ? Layout.ROWS : Layout.SCATTERED, random);
    }

    private int random(int[] of) {
        return of[random.nextInt(of.length)];
    }

    private Layout layout() {
        return Layout.values()[random.nextInt(Layout.values().length)];
    }

    private DType type() {
        return List.of(DType.F32, DType.BF16, DType.F16, DType.I8).get(random.nextInt(4));
    }
}
