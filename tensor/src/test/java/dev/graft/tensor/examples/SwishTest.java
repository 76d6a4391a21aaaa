package dev.graft.tensor.examples;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.graft.tensor.Backends;
import dev.graft.tensor.Call;
import dev.graft.tensor.DType;
import dev.graft.tensor.GradCheck;
import dev.graft.tensor.Gradients;
import dev.graft.tensor.Grads;
import dev.graft.tensor.Scope;
import dev.graft.tensor.Shape;
import dev.graft.tensor.Tape;
import dev.graft.tensor.Tensor;
import dev.graft.tensor.op.Composite;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;

/// An op of one's own, as the page about it shows it.
class SwishTest {
    @Test
    void gradientOfSwish() {
        try (var _ = Scope.open()) {
            GradCheck.check(new Swish(1.7), Tensor.randn(DType.F64, Shape.of(3, 5), 1));
        }
    }

    /// The definition alone is enough.
    record Plain(double beta) implements Composite {
        @Override
        public Tensor define(List<Tensor> in) {
            return new Swish(beta).define(in);
        }
    }

    @Test
    void aDefinitionAloneIsDifferentiated() {
        try (var _ = Scope.open()) {
            GradCheck.check(new Plain(1.7), Tensor.randn(DType.F64, Shape.of(3, 5), 1));
        }
    }

    /// A sign is wrong.
    record Wrong(double beta) implements Composite {
        @Override
        public Tensor define(List<Tensor> in) {
            return new Swish(beta).define(in);
        }

        @Override
        public void vjp(Call call, Tensor dy, Gradients g) {
            g.of(0, () -> dy.mul(call.in(0).mul(-beta).sigmoid()));
        }
    }

    @Test
    void aWrongGradientIsFound() {
        try (var _ = Scope.open()) {
            assertThatThrownBy(() -> GradCheck.check(new Wrong(1.7), Tensor.randn(DType.F64, Shape.of(3, 5), 1)))
                    .isInstanceOf(AssertionError.class)
                    .hasMessageContaining("[wrong] gradient of input 0, element 0 of f64[3, 5]: got");
        }
    }

    @Test
    void runsAndTrainsOnTheBackendThereIs() {
        try (var _ = Scope.open(Backends.best()); Tape tape = Tape.open()) {
            Tensor x = tape.watch(Tensor.of(new float[] {-1, 0, 2}));
            Tensor y = Swish.of(x, 1);
            assertThat(y.toFloats()[2]).isCloseTo((float) (2 / (1 + Math.exp(-2))), within(1e-6f));
            try (Grads grads = tape.backward(y.sum())) {
                assertThat(grads.of(x).toFloats()[1]).isCloseTo(0.5f, within(1e-6f));
            }
        }
    }

    @Test
    void thePageShowsThisCode() throws IOException {
        String page = Files.readString(Path.of("../docs/custom-op.md"));
        assertThat(page).contains("```java\n" + Files.readString(Path.of("src/test/java/dev/graft/tensor/examples/Swish.java")) + "```");
    }
}
