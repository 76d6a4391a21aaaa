package dev.graft.bench.model;

import dev.graft.models.CausalLm;
import dev.graft.models.llama.Llama;
import dev.graft.models.llama.LlamaConfig;
import dev.graft.models.llama.RopeScaling;
import dev.graft.nn.Linear;
import dev.graft.nn.Parameter;
import dev.graft.nn.Weight;
import dev.graft.tensor.DType;
import dev.graft.tensor.Scope;
import dev.graft.tensor.Tensor;
import java.util.List;
import java.util.OptionalInt;
import java.util.function.Function;

/// Random-weight LLaMAs of the shapes that the peers are measured on.
final class ModelState {
    private ModelState() {
    }

    /// The training peer's: hidden 768, 6 layers, 12 heads, MLP 2048, vocabulary 8192.
    static CausalLm training() {
        return random(8192, 768, 2048, 6, 12, 12, "f32");
    }

    /// The decoding peers': 159 M parameters, hidden 1024, 8 layers, 16 heads, 8 key heads, MLP 2816, vocabulary 32000.
    static CausalLm decoding(String weights) {
        return random(32000, 1024, 2816, 8, 16, 8, weights);
    }

    private static CausalLm random(int vocab, int hidden, int mlp, int layers, int heads, int keyHeads, String weights) {
        CausalLm model = new Llama(
                new LlamaConfig(vocab, hidden, mlp, layers, heads, keyHeads, hidden / heads, 1e-5, 10_000, new RopeScaling.None(), 2048,
                        false, false, false, 0.02, OptionalInt.of(1), List.of(2), OptionalInt.empty()));
        model.initialise(1);
        switch (weights) {
            case "f32" -> {
            }
            case "bf16" -> model.parameters().filter(p -> p.shape().rank() == 2)
                    .forEach(p -> store(p, w -> new Weight.Dense(w.to(DType.BF16))));
            case "q8" -> model.modules(Linear.class).forEach(l -> store(l.weight(), Weight.Q8::of));
            default -> throw new IllegalArgumentException("no form of weights '" + weights + "'; there are f32, bf16, q8");
        }
        return model;
    }

    private static void store(Parameter p, Function<Tensor, Weight> form) {
        try (var _ = Scope.untracked()) {
            p.fill(form.apply(p.value()));
        }
    }

}
