package dev.graft.tensor.op;

import static org.assertj.core.api.Assertions.assertThat;

import dev.graft.nn.Linear;
import dev.graft.tensor.Backends;
import dev.graft.tensor.DType;
import dev.graft.tensor.Grads;
import dev.graft.tensor.Scope;
import dev.graft.tensor.Shape;
import dev.graft.tensor.Tape;
import dev.graft.tensor.Tensor;
import dev.graft.tensor.backend.Backend;
import java.util.List;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

class CheckpointTest {
    private static final int WIDTH = 64;

    private final Backend cpu = Backends.named("cpu");
    private Scope scope;
    private Linear first;
    private Linear second;

    @BeforeEach
    void open() {
        scope = Scope.open(cpu);
        first = layer(1);
        second = layer(2);
    }

    @AfterEach
    void close() {
        first.close();
        second.close();
        scope.close();
    }

    private static Linear layer(long seed) {
        Linear layer = new Linear(WIDTH, WIDTH, false);
        layer.weight().fill(Tensor.randn(DType.F32, Shape.of(WIDTH, WIDTH), seed).mul(0.1));
        return layer;
    }

    /// A part with dropout and parameters of its own.
    private Tensor body(Tensor x) {
        return x.add(Dropout.of(second.forward(Dropout.of(first.forward(x).silu(), 0.2)), 0.1));
    }

    @Test
    void isBitForBitWhatTheBodyIsWithoutIt() {
        first.weight().trainable(true);
        second.weight().trainable(true);
        List<float[]> plain = gradients(true, this::body);
        List<float[]> checkpointed = gradients(true, x -> Checkpoint.of(this::body, x));
        for (int i = 0; i < plain.size(); i++) assertThat(checkpointed.get(i)).as("result %d", i).containsExactly(plain.get(i));
    }

    /// The first block of a model whose embedding is frozen: nothing comes in that wants a gradient.
    @Test
    void parametersInsideAreReachedThoughTheInputIsFrozen() {
        first.weight().trainable(true);
        List<float[]> plain = gradients(false, this::body);
        List<float[]> checkpointed = gradients(false, x -> Checkpoint.of(this::body, x));
        assertThat(plain).hasSize(3);
        for (int i = 0; i < plain.size(); i++) assertThat(checkpointed.get(i)).as("result %d", i).containsExactly(plain.get(i));
    }

    @Test
    void frozenPartIsNotRecorded() {
        try (Tape tape = Tape.open()) {
            Tensor y = Checkpoint.of(this::body, Tensor.randn(DType.F32, Shape.of(3, WIDTH), 3));
            assertThat(tape.tracks(y)).isFalse();
        }
    }

    @Test
    void holdsTheInputAlone() {
        first.weight().trainable(true);
        second.weight().trainable(true);
        long plain = held(this::body);
        long checkpointed = held(x -> Checkpoint.of(this::body, x));
        assertThat(checkpointed).as("bytes held, %d without", plain).isEqualTo(4L * 512 * WIDTH);
        assertThat(plain).isGreaterThanOrEqualTo(3 * checkpointed);
    }

    /// Bytes that stay held for the backward pass, beyond x and y.
    private long held(UnaryOperator<Tensor> part) {
        Tensor x = Tensor.randn(DType.F32, Shape.of(512, WIDTH), 3);
        try (Tape tape = Tape.training(5)) {
            long before = cpu.memory().live();
            Tensor leaf = tape.watch(x);
            Scope.result(() -> part.apply(leaf));
            return cpu.memory().live() - before;
        }
    }

    /// The loss, then the gradients: of the parts' weights that are trained, and of the input if it is watched.
    private List<float[]> gradients(boolean watched, UnaryOperator<Tensor> part) {
        Tensor input = Tensor.randn(DType.F32, Shape.of(5, WIDTH), 3);
        try (Tape tape = Tape.training(7)) {
            Tensor x = watched ? tape.watch(input) : input;
            Tensor y = Dropout.of(part.apply(part.apply(Dropout.of(x, 0.1))), 0.1);      // dropout before and after draws on
            Tensor loss = y.square().sum();
            try (Grads grads = tape.backward(loss)) {
                float[] other = watched ? grads.of(x).toFloats() : y.toFloats();
                float[] weights = grads.of(first.weight()).toFloats();
                return second.weight().isTrainable() ? List.of(loss.toFloats(), other, weights, grads.of(second.weight()).toFloats())
                        : List.of(loss.toFloats(), other, weights);
            }
        }
    }
}
