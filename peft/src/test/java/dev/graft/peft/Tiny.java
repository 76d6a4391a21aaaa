package dev.graft.peft;

import dev.graft.models.CausalLm;
import dev.graft.models.Inputs;
import dev.graft.models.ModelLoader;
import dev.graft.models.io.Json;
import dev.graft.nn.Linear;
import dev.graft.nn.Parameter;
import dev.graft.nn.Weight;
import dev.graft.optim.AdamW;
import dev.graft.tensor.DType;
import dev.graft.tensor.Grads;
import dev.graft.tensor.Scope;
import dev.graft.tensor.Tape;
import dev.graft.tensor.Tensor;
import dev.graft.tensor.op.LinearCrossEntropy;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SequencedMap;
import java.util.function.Function;

/// Models small enough to train in a test, with random weights, and what is done to them.
final class Tiny {
    /// Eight rows of seven tokens, of which the last two are padding in every other row.
    static final int[][] IDS = new int[8][7];
    static final int[][] MASK = new int[8][7];

    static {
        for (int i = 0; i < 8; i++) {
            for (int t = 0; t < 7; t++) {
                IDS[i][t] = (5 * i + 3 * t + i * t) % 29;
                MASK[i][t] = i % 2 == 1 && t >= 5 ? 0 : 1;
            }
        }
    }

    private Tiny() {
    }

    /// A LLaMA with grouped heads and biases, of odd sizes.
    static CausalLm llama() {
        return llama(Map.of());
    }

    /// @param settings of config.json, instead of the usual ones
    static CausalLm llama(Map<String, Object> settings) {
        Map<String, Object> config = new LinkedHashMap<>(
                Map.of("model_type", "llama", "vocab_size", 29, "hidden_size", 20, "intermediate_size", 36,
                        "num_hidden_layers", 2, "num_attention_heads", 5, "num_key_value_heads", 1, "initializer_range", 0.3,
                        "attention_bias", true));
        config.putAll(settings);
        return random(config);
    }

    /// A BLOOM whose number of heads is no power of two.
    static CausalLm bloom() {
        return random(
                Map.of("model_type", "bloom", "vocab_size", 29, "hidden_size", 20, "n_layer", 2, "n_head", 5, "initializer_range", 0.3));
    }

    /// A GPT-J whose heads turn in half of their elements.
    static CausalLm gptj() {
        return random(
                Map.of("model_type", "gptj", "vocab_size", 29, "n_embd", 20, "n_inner", 36, "n_layer", 2, "n_head", 5, "rotary_dim", 2,
                        "initializer_range", 0.3));
    }

    private static CausalLm random(Map<String, Object> config) {
        CausalLm model = ModelLoader.empty(Json.parse(Json.format(config), "tiny"));
        model.initialise(3);
        try (var _ = Scope.untracked()) {
            model.parameters().filter(p -> p.name().endsWith(".bias"))
                    .forEach(p -> p.fill(Tensor.randn(DType.F32, p.shape(), p.name().hashCode())));
        }
        return model;
    }

    /// A model with its linear layers stored in few bits; a head that is the embedding matrix stays as it is.
    static CausalLm quantised(CausalLm model, Function<Tensor, Weight> form) {
        try (var _ = Scope.untracked()) {
            model.modules(Linear.class).filter(l -> l.weight() != model.embedding().weight())
                    .forEach(l -> l.weight().fill(form.apply(l.weight().value())));
        }
        return model;
    }

    /// The same with its linear layers stored as BF16.
    static CausalLm half() {
        CausalLm model = llama();
        try (var _ = Scope.untracked()) {
            model.modules(Linear.class).forEach(l -> l.weight().fill(l.weight().value().to(DType.BF16)));
        }
        return model;
    }

    static float[] logits(CausalLm model) {
        try (var _ = Scope.open()) {
            return model.logits(Inputs.of(IDS, MASK)).toFloats();
        }
    }

    /// Summed loss of the next token over some rows.
    static Tensor loss(CausalLm model, int from, int to) {
        int rows = to - from;
        int[][] ids = java.util.Arrays.copyOfRange(IDS, from, to);
        int[][] mask = java.util.Arrays.copyOfRange(MASK, from, to);
        Tensor h = model.hidden(Inputs.of(ids, mask), null);
        int[] next = new int[rows * 6];
        for (int i = 0; i < rows; i++) for (int t = 0; t < 6; t++) next[i * 6 + t] = mask[i][t + 1] == 0 ? -100 : ids[i][t + 1];
        Tensor x = h.slice(1, 0, 6).reshape(-1, h.dim(2));
        if (!model.head().isSurrounded() && model.head().bias() == null
                && model.head().weight().weight() instanceof Weight.Dense(Tensor w)) {
            return LinearCrossEntropy.of(x, w, Tensor.of(next), -100).sum();
        }
        return new dev.graft.tensor.op.CrossEntropy(-100).apply(model.head().forward(x), Tensor.of(next)).sum();
    }

    /// Trains on all rows; returns the losses before each step.
    static double[] train(CausalLm model, Peft peft, int steps, double learningRate) {
        double[] losses = new double[steps];
        try (AdamW optimizer = new AdamW(peft.parameters(), AdamW.Config.DEFAULT)) {
            for (int step = 0; step < steps; step++) {
                try (Tape tape = Tape.training(step)) {
                    Tensor loss = loss(model, 0, 8);
                    losses[step] = loss.item();
                    try (Grads grads = tape.backward(loss)) {
                        grads.scale(1.0 / 40);
                        optimizer.step(grads, learningRate);
                    }
                }
            }
        }
        return losses;
    }

    /// Every gradient of the loss over all rows, added up over micro-batches of this many.
    static SequencedMap<String, float[]> gradients(CausalLm model, List<Parameter> parameters, int micro) {
        SequencedMap<String, float[]> out = new LinkedHashMap<>();
        try (Grads grads = Grads.open()) {
            for (int from = 0; from < 8; from += micro) {
                try (Tape tape = Tape.training(5)) {
                    tape.backward(loss(model, from, from + micro), grads);
                }
            }
            for (Parameter p : parameters) out.put(p.name(), grads.of(p).toFloats());
        }
        return out;
    }

    /// All bits of the model's own parameters.
    static Map<String, List<float[]>> bits(CausalLm model) {
        Map<String, List<float[]>> bits = new LinkedHashMap<>();
        model.parameters().forEach(p -> bits.put(p.name(), p.weight().tensors().map(t -> t.toFloats()).toList()));
        return bits;
    }
}
