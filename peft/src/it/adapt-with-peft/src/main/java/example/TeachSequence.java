package example;

import dev.graft.models.CausalLm;
import dev.graft.models.Inputs;
import dev.graft.models.ModelLoader;
import dev.graft.models.generate.GenerationConfig;
import dev.graft.models.generate.Generator;
import dev.graft.models.text.Tokenizer;
import dev.graft.optim.AdamW;
import dev.graft.peft.Peft;
import dev.graft.peft.method.Lora;
import dev.graft.tensor.Grads;
import dev.graft.tensor.Scope;
import dev.graft.tensor.Tape;
import dev.graft.tensor.Tensor;
import dev.graft.tensor.op.CrossEntropy;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;

/// Teaches a small model a sequence of tokens by LoRA, saves the adapter, and checks that the model says the sequence: adapted, reloaded, merged.
///
/// Arguments: a model's folder, a tokenizer's folder, a folder to write.
public final class TeachSequence {
    private static final int[] SEQUENCE = {1, 17, 42, 8, 90, 33, 5, 71, 64, 12, 29, 88};
    private static final int KNOWN = 3;

    public static void main(String[] args) throws Exception {
        Path folder = Path.of(args[2]);
        int[] expected = Arrays.copyOfRange(SEQUENCE, KNOWN, SEQUENCE.length);

        try (CausalLm model = ModelLoader.load(Path.of(args[0]))) {
            require(!Arrays.equals(expected, continued(model)), "the model knows the sequence before it was taught");
            try (Peft peft = Peft.attach(model, Lora.of(8, 32, "q_proj", "v_proj", "up_proj", "down_proj"))) {
                teach(model, peft);
                require(Arrays.equals(expected, continued(model)), "adapted, the model does not say the sequence");
                peft.save(folder);
            }
            require(!Arrays.equals(expected, continued(model)), "the adapter is gone, and the model still says the sequence");
        }

        try (CausalLm model = ModelLoader.load(Path.of(args[0])); Peft peft = Peft.load(model, folder)) {
            require(Arrays.equals(expected, continued(model)), "reloaded, the model does not say the sequence");
            peft.merge();
            require(Arrays.equals(expected, continued(model)), "merged, the model does not say the sequence");
        }

        try (Tokenizer tokenizer = Tokenizer.load(Path.of(args[1]))) {
            String text = "Adapters are grafted onto a frozen trunk.";
            require(tokenizer.decode(tokenizer.encode(text)).equals(text), "the tokenizer does not give the text back");
        }
    }

    private static void teach(CausalLm model, Peft peft) {
        int last = SEQUENCE.length - 1;
        int[][] input = {Arrays.copyOf(SEQUENCE, last)};
        int[] target = Arrays.copyOfRange(SEQUENCE, 1, SEQUENCE.length);
        try (AdamW optimizer = new AdamW(peft.parameters(), AdamW.Config.DEFAULT)) {
            for (int step = 0; step < 100; step++) {
                try (Tape tape = Tape.training(step)) {
                    Tensor logits = model.logits(Inputs.of(input)).reshape(last, -1);             // [T, V]
                    Tensor loss = CrossEntropy.of(logits, Tensor.of(target), -100).mean();
                    if (step % 33 == 0) System.out.printf("step %d, loss %.4f%n", step, loss.item());
                    try (Grads grads = tape.backward(loss)) {
                        optimizer.step(grads, 0.01);
                    }
                }
            }
        }
    }

    private static int[] continued(CausalLm model) {
        try (var _ = Scope.open()) {
            GenerationConfig config = GenerationConfig.defaults().withGreedy().withMaxNewTokens(SEQUENCE.length - KNOWN);
            return new Generator(model, config).generate(List.of(Arrays.copyOf(SEQUENCE, KNOWN))).getFirst().ids();
        }
    }

    private static void require(boolean condition, String otherwise) {
        if (!condition) throw new AssertionError(otherwise);
    }
}
