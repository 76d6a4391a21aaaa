package dev.graft.peft;

import static org.assertj.core.api.Assertions.assertThat;

import dev.graft.models.GoldenTensors;
import dev.graft.nn.Linear;
import dev.graft.peft.method.Lora;
import dev.graft.tensor.DType;
import dev.graft.tensor.Scope;
import dev.graft.tensor.Shape;
import dev.graft.tensor.Tape;
import dev.graft.tensor.Tensor;
import org.junit.jupiter.api.Test;

/// What goldens, which have no dropout, do not reach.
class DoraTest {
    /// Only what the adapter adds sees the thinned input: as long as it adds nothing, training computes what the layer does.
    @Test
    void dropoutDoesNotDisturbTheStart() {
        try (Toy toy = Toy.linear("q_proj", 6, 5, true).filled(DType.F32);
                Peft peft = Peft.attach(toy, Lora.DORA.with("r", 2).with("lora_dropout", 0.5).with("target_modules", "q_proj"));
                var _ = Scope.open()) {
            Linear layer = toy.linear("q_proj");
            Tensor x = Tensor.randn(DType.F32, Shape.of(7, 6), 1);
            peft.enabled(false);
            float[] base = layer.forward(x).toFloats();
            peft.enabled(true);
            try (Tape _ = Tape.training(3)) {
                GoldenTensors.check("start", layer.forward(x).toFloats(), base, 1e-6);
                peft.parameters().forEach(p -> p.fill(Tensor.randn(DType.F32, p.shape(), 2)));
                float[] one = layer.forward(x).toFloats();
                assertThat(layer.forward(x).toFloats()).as("another mask").isNotEqualTo(one);
            }
        }
    }
}
