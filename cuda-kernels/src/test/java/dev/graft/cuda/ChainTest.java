package dev.graft.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.graft.tensor.Backends;
import dev.graft.tensor.DType;
import dev.graft.tensor.Engine;
import dev.graft.tensor.Scope;
import dev.graft.tensor.Shape;
import dev.graft.tensor.Spec;
import dev.graft.tensor.Tensor;
import dev.graft.tensor.op.Affine;
import dev.graft.tensor.op.Binary;
import dev.graft.tensor.op.Unary;
import dev.graft.tensor.op.UnaryGrad;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.function.Function;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// Ops that wait for one another give what each gives by itself, to the bit, in fewer launches.
class ChainTest {
    private static final String CHAINS = "graft.cuda.chains";

    private CudaBackend chained, single;

    @BeforeEach
    void open() {
        Backends.named("cuda:0");
        chained = backend(true);
        single = backend(false);
    }

    private static CudaBackend backend(boolean chains) {
        String before = System.setProperty(CHAINS, "" + chains);
        try {
            return new CudaBackend(new Device(CudaBackends.driver(System.getProperty("graft.cuda.driver")), 0));
        } finally {
            if (before == null) System.clearProperty(CHAINS);
            else System.setProperty(CHAINS, before);
        }
    }

    /// What a formula gives, every tensor that it returns.
    private static List<float[]> on(CudaBackend backend, Function<SplittableRandom, List<Tensor>> formula, long seed) {
        try (var _ = Scope.open(backend)) {
            return formula.apply(new SplittableRandom(seed)).stream().map(t -> t.to(DType.F32).toFloats()).toList();
        }
    }

    private void agree(Function<SplittableRandom, List<Tensor>> formula, long seed) {
        List<float[]> expected = on(single, formula, seed), got = on(chained, formula, seed);
        for (int i = 0; i < expected.size(); i++)
            assertThat(got.get(i)).as("tensor %d of seed %d", i, seed).containsExactly(expected.get(i));
    }

    /// Ops that go element by element on what there is, some of it broadcast, transposed, sliced, of 16 bits or overwritten in place, and others in between.
    private static List<Tensor> some(SplittableRandom random) {
        int[] sizes = {1, 2, 3, 7, 31, 33};
        Shape shape = Shape.of(sizes[random.nextInt(6)], sizes[random.nextInt(6)], sizes[random.nextInt(6)]);
        DType[] types = {DType.F32, DType.F32, DType.F32, DType.BF16, DType.F16};
        List<Tensor> all = new ArrayList<>();
        for (int i = 0; i < 4; i++) all.add(Tensor.randn(DType.F32, shape, random.nextLong()));
        for (int step = 0; step < 60; step++) {
            Tensor a = all.get(random.nextInt(all.size())), b = all.get(random.nextInt(all.size()));
            if (random.nextInt(3) > 0) a = all.getLast();                        // so that chains are long
            if (a.dtype() != b.dtype()) b = b.to(a.dtype());
            switch (random.nextInt(14)) {
                case 0 -> all.add(Unary.values()[random.nextInt(Unary.values().length)].apply(a));
                case 1 -> all.add(new UnaryGrad(Unary.values()[random.nextInt(Unary.values().length)]).apply(a, b));
                case 2, 3 -> all.add(Binary.values()[random.nextInt(Binary.values().length)].apply(a, b));
                case 4 -> all.add(new Affine(random.nextDouble(-2, 2), random.nextDouble(-1, 1)).apply(a));
                case 5 -> all.add(a.where(b, a.mul(0.5)));
                case 6 -> all.add(a.to(types[random.nextInt(types.length)]));
                case 7 -> all.add(a.mul(b.slice(0, 0, 1)).add(b.slice(2, 0, 1)));
                case 8 -> all.add(a.add(b.transpose(0, 2).copy().transpose(0, 2)));
                case 9 -> Engine.update(Binary.values()[random.nextInt(3)], all.getLast(), all.getLast(),
                        all.get(0).to(all.getLast().dtype()));
                case 10 -> all.add(a.reshape(Shape.of((int) a.shape().size())).tanh().reshape(shape));
                case 11 -> all.add(a.mul(a.to(DType.F32).sum(1).reshape(shape.dim(0), 1, shape.dim(2)).to(a.dtype())));
                case 12 -> all.add(a.tanh().neg().exp().add(1).recip());
                default -> {
                    Tensor gone = all.remove(random.nextInt(all.size()));
                    if (!all.contains(gone)) gone.close();
                }
            }
            while (all.size() < 3) all.add(all.getFirst().neg());
        }
        return all;
    }

    @ParameterizedTest
    @ValueSource(ints = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19})
    void randomFormulasAreThoseOfOpsOneByOne(int number) {
        for (int i = 0; i < 10; i++) agree(ChainTest::some, 1000L * number + i);
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 255, 1023, 1025, 5000})
    void anySize(int n) {
        agree(_ -> {
            Tensor x = Tensor.randn(DType.F32, Shape.of(n), 3);
            return List.of(x.mul(2).exp().add(x).sigmoid(), x);
        }, 0);
    }

    /// More values that are needed at once than a thread can hold.
    @Test
    void manyValuesAtOnce() {
        for (int many : new int[] {4, 8, 9, 16, 17, 40}) {
            agree(_ -> {
                Tensor x = Tensor.randn(DType.F32, Shape.of(11, 7), 3);
                List<Tensor> all = new ArrayList<>();
                for (int i = 0; i < many; i++) all.add(x.mul(i + 0.5).sin());
                Tensor sum = x;
                for (Tensor each : all.reversed()) sum = sum.mul(0.5).add(each);
                return List.of(sum);
            }, 0);
        }
    }

    private static long launches(String kernel) {
        assumeTrue(Emulator.isThere(), "counts launches on the emulated device");
        return Emulator.open().count(kernel);
    }

    @Test
    void aFormulaIsOneLaunch() {
        long before = launches("cuLaunchKernel"), chains = launches("chain_f32");
        try (var _ = Scope.open(chained)) {
            Tensor x = Tensor.zeros(Spec.of(DType.F32, 40, 50));
            Tensor y = x.add(1).mul(x).sub(x).sigmoid().mul(4);
            assertThat(y.toFloats()).containsOnly(2);
        }
        assertThat(launches("chain_f32") - chains).isEqualTo(1);
        assertThat(launches("cuLaunchKernel") - before).isEqualTo(1);
    }

    @Test
    void whatNobodyReadsIsNotComputed() {
        long before = launches("cuLaunchKernel");
        try (var _ = Scope.open(chained)) {
            Tensor x = Tensor.zeros(Spec.of(DType.F32, 40, 50));
            for (int i = 0; i < 100; i++) x.exp().close();
            chained.await();
        }
        assertThat(launches("cuLaunchKernel") - before).isEqualTo(0);
    }

    @Test
    void aThreadSeesWhatAnotherAskedFor() throws InterruptedException {
        try (var _ = Scope.open(chained)) {
            Tensor x = Tensor.ones(Spec.of(DType.F32, 10)), y = x.add(1).mul(3);
            double[] sum = new double[1];
            Thread other = new Thread(() -> {
                try (var _ = Scope.open(chained)) {
                    sum[0] = y.sum().item();
                }
            });
            other.start();
            other.join();
            assertThat(sum[0]).isEqualTo(60);
        }
    }
}
