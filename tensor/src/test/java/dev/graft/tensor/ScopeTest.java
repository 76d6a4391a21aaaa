package dev.graft.tensor;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.graft.tensor.backend.Backend;
import dev.graft.tensor.op.Dropout;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.Test;

/// Who owns memory, and when it comes back.
class ScopeTest {
    private final Backend cpu = Backends.named("cpu");

    @Test
    void useAfterCloseNamesTheOpThatMadeIt() {
        Tensor y;
        try (var _ = Scope.open(cpu)) {
            y = Tensor.range(DType.F32, 3).exp();
        }
        assertThat(y.isClosed()).isTrue();
        try (var _ = Scope.open(cpu)) {
            assertThatThrownBy(y::sum).isInstanceOf(TensorException.class).hasMessageContaining("[exp]").hasMessageContaining("f32[3]")
                    .hasMessageContaining("after its scope closed");
            assertThatThrownBy(y::toFloats).isInstanceOf(TensorException.class);
            assertThatThrownBy(() -> y.reshape(1, 3)).isInstanceOf(TensorException.class);
        }
    }

    @Test
    void withoutAScopeTheMessageSaysWhatToDo() {
        assertThatThrownBy(() -> Tensor.zeros(DType.F32, 2)).isInstanceOf(TensorException.class)
                .hasMessageContaining("try (var _ = Scope.open())");
    }

    @Test
    void keptTensorOutlivesItsScope() {
        try (Scope outer = Scope.open(cpu)) {
            Tensor kept;
            Tensor view;
            try (var _ = Scope.open()) {
                Tensor x = Tensor.range(DType.F32, 4);
                kept = outer.keep(x.mul(2));
                view = outer.keep(x.slice(0, 1, 3));                            // its block lives on though x is gone
            }
            assertThat(kept.toFloats()).containsExactly(0, 2, 4, 6);
            assertThat(view.toFloats()).containsExactly(1, 2);
        }
    }

    @Test
    void closedScopeKeepsNothing() {
        Scope closed = Scope.detached();
        closed.close();
        try (var _ = Scope.open(cpu)) {
            Tensor x = Tensor.zeros(DType.F32, 2);
            assertThatThrownBy(() -> closed.keep(x)).isInstanceOf(TensorException.class).hasMessageContaining("closed");
        }
    }

    @Test
    void scopesCloseInReverseOrder() {
        Scope outer = Scope.open(cpu);
        Scope inner = Scope.open();
        assertThatThrownBy(outer::close).isInstanceOf(TensorException.class).hasMessageContaining("reverse order");
        inner.close();
        outer.close();
        outer.close();                                                          // a second time: nothing
    }

    @Test
    void aScopeBelongsToItsThread() throws InterruptedException {
        try (var _ = Scope.open(cpu)) {
            AtomicReference<Throwable> thrown = new AtomicReference<>();
            Thread other = new Thread(() -> {
                try {
                    Tensor.zeros(DType.F32, 1);
                } catch (TensorException e) {
                    thrown.set(e);
                }
            });
            other.start();
            other.join();
            assertThat(thrown.get()).hasMessageContaining("no open Scope");
        }
    }

    @Test
    void resultLetsGoOfEverythingElse() {
        try (var _ = Scope.open(cpu)) {
            long before = cpu.memory().live();
            Tensor y = Scope.result(() -> Tensor.zeros(DType.F32, 1 << 16).add(1).add(1).sum());
            assertThat(y.item()).isEqualTo(2 << 16);
            assertThat(cpu.memory().live() - before).isLessThan(1 << 16);
        }
    }

    @Test
    void closingGivesAllMemoryBack() {
        long before = cpu.memory().live();
        try (var _ = Scope.open(cpu)) {
            Tensor x = Tensor.range(DType.F32, 1000);
            List<Tensor> many = new ArrayList<>();
            for (int i = 0; i < 10; i++) many.add(x.reshape(10, 100).permute(1, 0).contiguous().add(x.reshape(100, 10)).softmax());
            assertThat(cpu.memory().live()).isGreaterThan(before + 10 * 4000);
        }
        assertThat(cpu.memory().live()).isEqualTo(before);
    }

    @Test
    void aLoopThatHasWarmedUpAllocatesNothing() {
        for (int i = 0; i < 3; i++) step();
        long before = cpu.memory().allocations();
        for (int i = 0; i < 20; i++) step();
        assertThat(cpu.memory().allocations()).isEqualTo(before);
    }

    private void step() {
        try (Tape tape = Tape.training(1)) {
            Tensor x = Tensor.randn(DType.F32, Shape.of(40, 30), 1);
            Tensor w = tape.watch(Tensor.randn(DType.F32, Shape.of(50, 30), 2));
            try (Grads g = tape.backward(Dropout.of(x.matmulT(w).silu(), 0.1).softmax().square().sum())) {
                assertThat(g.of(w).shape()).isEqualTo(w.shape());
            }
        }
    }
}
