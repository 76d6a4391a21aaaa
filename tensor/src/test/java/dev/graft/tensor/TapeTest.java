package dev.graft.tensor;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.graft.nn.Linear;
import dev.graft.nn.Parameter;
import dev.graft.tensor.backend.Backend;
import dev.graft.tensor.op.Composite;
import dev.graft.tensor.op.CrossEntropy;
import dev.graft.tensor.op.Dropout;
import dev.graft.tensor.op.RmsNorm;
import java.util.List;
import java.util.function.BiConsumer;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/// What is recorded, what is held, what is refused.
class TapeTest {
    /// `y = 2x + z`, with a gradient of the test's making.
    private record Odd(BiConsumer<Tensor, Gradients> gradient) implements Composite {
        @Override
        public Tensor define(List<Tensor> in) {
            return in.get(0).mul(2).add(in.get(1));
        }

        @Override
        public void vjp(Call call, Tensor dy, Gradients g) {
            gradient.accept(dy, g);
        }
    }

    private final Backend cpu = Backends.named("cpu");
    private Scope scope;

    @BeforeEach
    void open() {
        scope = Scope.open(cpu);
    }

    @AfterEach
    void close() {
        scope.close();
    }

    @Test
    void unansweredInputIsAnError() {
        assertThatThrownBy(() -> gradientOf((dy, g) -> g.of(1, () -> dy))).isInstanceOf(TensorException.class)
                .hasMessage("[odd] vjp gave no gradient for input 0; answer with of(0, …), or none(0) if it has none");
        gradientOf((dy, g) -> {                                                 // both answered: fine
            g.of(0, () -> dy.mul(2));
            g.none(1);
        });
    }

    @Test
    void gradientOfAnotherShapeIsAnError() {
        assertThatThrownBy(() -> gradientOf((dy, g) -> {
            g.of(0, dy::sum);
            g.none(1);
        })).isInstanceOf(TensorException.class).hasMessage("[odd] the gradient of input 0 must be f32[3], got f32[]");
        assertThatThrownBy(() -> gradientOf((dy, g) -> {
            g.of(0, () -> dy.to(DType.F64));
            g.none(1);
        })).hasMessage("[odd] the gradient of input 0 must be f32[3], got f64[3]");
    }

    @Test
    void constantThatWantsAGradientIsAnError() {
        assertThatThrownBy(() -> gradientOf((dy, g) -> {
            g.of(0, () -> dy);
            g.constant(1);
        })).isInstanceOf(TensorException.class).hasMessageContaining("[odd] input 1, f32[3], must be a constant");
    }

    private static void gradientOf(BiConsumer<Tensor, Gradients> gradient) {
        try (Tape tape = Tape.open()) {
            Tensor x = tape.watch(Tensor.range(DType.F32, 3));
            Tensor z = tape.watch(Tensor.range(DType.F32, 3));
            tape.backward(new Odd(gradient).apply(x, z).sum()).close();
        }
    }

    @Test
    void resultOfAnOuterTapeIsRefused() {
        try (Tape outer = Tape.open()) {
            Tensor y = outer.watch(Tensor.range(DType.F32, 3)).exp();
            try (Tape inner = Tape.open()) {
                Tensor z = inner.watch(Tensor.range(DType.F32, 3));
                assertThatThrownBy(() -> y.mul(z)).isInstanceOf(TensorException.class).hasMessageContaining("[exp]")
                        .hasMessageContaining("outer tape, where its gradient would be lost");
                assertThat(y.detach().mul(z).toFloats()).hasSize(3);
            }
        }
    }

    @Test
    void oneTapeIsGoodForOneBackwardPass() {
        try (Tape tape = Tape.open()) {
            Tensor loss = tape.watch(Tensor.range(DType.F32, 3)).square().sum();
            tape.backward(loss).close();
            assertThatThrownBy(() -> tape.backward(loss)).isInstanceOf(TensorException.class).hasMessageContaining("one backward pass");
        }
    }

    @Test
    void backwardStartsFromOneNumberThatDependsOnALeaf() {
        try (Tape tape = Tape.open()) {
            Tensor x = tape.watch(Tensor.range(DType.F32, 3));
            assertThatThrownBy(() -> tape.backward(x.square())).hasMessageContaining("a single number, got f32[3]; sum it first");
            assertThatThrownBy(() -> tape.backward(Tensor.range(DType.F32, 3).sum())).hasMessageContaining("nothing trainable reaches");
            assertThatThrownBy(() -> tape.watch(Tensor.range(DType.I32, 3))).hasMessageContaining("only floating tensors have gradients");
        }
    }

    @Test
    void frozenWeightKeepsNoActivation() {
        int n = 256;
        long bytes = 4L * n * n;
        Tensor x = Tensor.randn(DType.F32, Shape.of(n, n), 1);
        Tensor w = Tensor.randn(DType.F32, Shape.of(n, n), 2);
        long before = cpu.memory().live();
        try (Tape tape = Tape.open()) {
            Tensor leaf = tape.watch(x);
            Tensor y = Scope.result(() -> leaf.mul(2).matmulT(w).mul(0.5).matmulT(w));
            assertThat(tape.tracks(y)).isTrue();
            assertThat(cpu.memory().live() - before).as("only y itself").isEqualTo(bytes);
        }
        try (Tape tape = Tape.open()) {
            Tensor trained = tape.watch(w);
            Scope.result(() -> x.mul(2).matmulT(trained));
            assertThat(cpu.memory().live() - before).as("y, and 2x for the weight's gradient").isEqualTo(2 * bytes);
        }
    }

    @Test
    void whatNothingTrainedReachesIsNotRecorded() {
        Tensor x = Tensor.randn(DType.F32, Shape.of(64, 64), 1);
        long before = cpu.memory().live();
        try (Tape tape = Tape.open()) {
            Tensor y = Scope.result(() -> RmsNorm.of(x.silu().mul(x), Tensor.ones(Spec.of(DType.F32, 64)), 1e-5).softmax());
            assertThat(tape.tracks(y)).isFalse();
            assertThat(cpu.memory().live() - before).isEqualTo(4 * 64 * 64);
        }
    }

    @Test
    void gradientOfAFrozenInputIsNeverComputed() {
        try (Tape tape = Tape.open()) {
            Tensor x = tape.watch(Tensor.range(DType.F32, 3));
            Odd op = new Odd((dy, g) -> {
                assertThat(g.wants(0)).isTrue();
                assertThat(g.wants(1)).isFalse();
                g.of(0, () -> dy.mul(2));
                g.of(1, () -> {
                    throw new AssertionError("computed for a frozen input");
                });
            });
            try (Grads grads = tape.backward(op.apply(x, Tensor.range(DType.F32, 3)).sum())) {
                assertThat(grads.of(x).toFloats()).containsExactly(2, 2, 2);
            }
        }
    }

    @Test
    void overwritingASavedValueIsNoticed() {
        Tensor w = Tensor.ones(Spec.of(DType.F32, 3));
        try (Tape tape = Tape.open()) {
            Tensor loss = tape.watch(Tensor.range(DType.F32, 3)).mul(w).sum();
            w.assign(Tensor.zeros(DType.F32, 3));
            assertThatThrownBy(() -> tape.backward(loss)).isInstanceOf(TensorException.class)
                    .hasMessage("[mul] input 1 was overwritten in place before the backward pass read it");
        }
    }

    @Test
    void recordedTensorIsNotWrittenInto() {
        try (Tape tape = Tape.open()) {
            Tensor y = tape.watch(Tensor.range(DType.F32, 3)).mul(2);
            assertThatThrownBy(() -> y.assign(Tensor.zeros(DType.F32, 3))).isInstanceOf(TensorException.class)
                    .hasMessageContaining("recorded");
        }
    }

    @Test
    void gradientsReachALeafOnAllWays() {
        try (Tape tape = Tape.open()) {
            Tensor x = tape.watch(Tensor.of(new float[] {1, 2, 3}));
            Tensor y = x.square();
            try (Grads grads = tape.backward(y.mul(x).add(y).add(x).sum())) {   // x³ + x² + x
                assertThat(grads.of(x).toFloats()).containsExactly(6, 17, 34);
            }
        }
    }

    @Test
    void leafThatNothingReachesHasNoGradient() {
        try (Tape tape = Tape.open()) {
            Tensor x = tape.watch(Tensor.range(DType.F32, 3));
            Tensor unused = tape.watch(Tensor.range(DType.F32, 3));
            try (Grads grads = tape.backward(x.sum())) {
                assertThat(grads.find(unused)).isNull();
                assertThatThrownBy(() -> grads.of(unused)).hasMessageContaining("no gradient reached f32[3]");
            }
        }
    }

    @Test
    void microBatchesAddUpToOneBatch() {
        try (Linear layer = new Linear(7, 5, true)) {
            layer.weight().fill(Tensor.randn(DType.F32, Shape.of(5, 7), 1));
            layer.bias().fill(Tensor.randn(DType.F32, Shape.of(5), 2));
            List<Parameter> parameters = List.of(layer.weight(), layer.bias());
            parameters.forEach(p -> p.trainable(true));
            Tensor x = Tensor.randn(DType.F32, Shape.of(12, 7), 3);
            Tensor targets = Tensor.of(new int[] {0, 1, 2, 3, 4, 0, 1, -100, 3, 4, 0, 1});
            try (Grads whole = Grads.open(); Grads parts = Grads.open()) {
                accumulate(layer, x, targets, 0, 12, whole);
                for (int i = 0; i < 12; i += 3) accumulate(layer, x, targets, i, i + 3, parts);
                for (Parameter p : parameters) {
                    float[] want = whole.of(p).toFloats();
                    float[] got = parts.of(p).toFloats();
                    for (int i = 0; i < want.length; i++) assertThat(got[i]).isCloseTo(want[i], within(2e-6f));
                }
                assertThat(parts.norm()).isCloseTo(whole.norm(), within(1e-5));
            }
        }
    }

    private static void accumulate(Linear layer, Tensor x, Tensor targets, int from, int to, Grads grads) {
        try (Tape tape = Tape.open()) {
            tape.backward(CrossEntropy.of(layer.forward(x.slice(0, from, to)), targets.slice(0, from, to), -100).sum(), grads);
        }
    }

    @Test
    void gradientsClipToTheirCommonNorm() {
        try (Tape tape = Tape.open()) {
            Tensor x = tape.watch(Tensor.of(new float[] {3}));
            Tensor y = tape.watch(Tensor.of(new float[] {4}));
            try (Grads grads = tape.backward(x.square().add(y.square()).mul(0.5).sum())) {
                assertThat(grads.clipNorm(1)).isCloseTo(5, within(1e-6));
                assertThat(grads.of(x).item()).isCloseTo(0.6, within(1e-6));
                assertThat(grads.of(y).item()).isCloseTo(0.8, within(1e-6));
                assertThat(grads.clipNorm(0)).as("no limit").isCloseTo(1, within(1e-6));
            }
        }
    }

    @Test
    void dropoutActsInTrainingOnlyAndFollowsTheSeed() {
        Tensor x = Tensor.ones(Spec.of(DType.F32, 1000));
        assertThat(Dropout.of(x, 0.5)).isSameAs(x);
        try (Tape _ = Tape.open()) {
            assertThat(Dropout.of(x, 0.5)).isSameAs(x);
        }
        float[] first = dropped(x, 1);
        assertThat(first).containsOnly(0, 2);
        assertThat(dropped(x, 1)).containsExactly(first);
        assertThat(dropped(x, 2)).isNotEqualTo(first);
        try (Tape _ = Tape.training(1)) {
            assertThat(Dropout.of(x, 0.5).toFloats()).isNotEqualTo(Dropout.of(x, 0.5).toFloats());
        }
    }

    private static float[] dropped(Tensor x, long seed) {
        try (Tape _ = Tape.training(seed)) {
            return Dropout.of(x, 0.5).toFloats();
        }
    }

    @Test
    void closedTapeHoldsNothing() {
        long before = cpu.memory().live();
        try (Tape tape = Tape.open()) {
            tape.watch(Tensor.randn(DType.F32, Shape.of(100, 100), 1)).exp().softmax().square().sum();
        }
        assertThat(cpu.memory().live()).isEqualTo(before);
    }
}
