package dev.graft.bench.model;

import dev.graft.models.CausalLm;
import dev.graft.models.llama.Llama;
import dev.graft.models.llama.LlamaConfig;
import dev.graft.models.llama.RopeScaling;
import dev.graft.nn.Init;
import dev.graft.nn.Linear;
import dev.graft.nn.Parameter;
import dev.graft.nn.Weight;
import dev.graft.tensor.DType;
import dev.graft.tensor.Scope;
import dev.graft.tensor.Tensor;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.OptionalInt;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/// Random-weight LLaMAs of the shapes that Graft and its peers are measured on.
public final class RandomModels {
    /// Tokens of the prompt that decoding stands behind.
    public static final int PROMPT = 300;

    /// Weights of the decoding model's blocks.
    public static final double DECODING_BLOCKS = 8 * (2.0 * 1024 * 1024 + 2.0 * 512 * 1024 + 3.0 * 2816 * 1024);

    /// Weights of its output layer.
    public static final double DECODING_HEAD = 32000.0 * 1024;

    /// Weights of the small model's blocks and output layer.
    static final double SMALL = 4 * (4.0 * 256 * 256 + 3.0 * 704 * 256) + 32000.0 * 256;

    private RandomModels() {
    }

    /// The model that training steps are measured on: hidden 768, 6 layers, 12 heads, MLP 2048, vocabulary 8192.
    ///
    /// @param biased whether its layers have biases
    static CausalLm training(boolean biased) {
        return fill(llama(8192, 768, 2048, 6, 12, 12, biased), "f32");
    }

    /// The model that reading and decoding are measured on: [#decodingShape] with values.
    static CausalLm decoding(String weights) {
        return fill(decodingShape(), weights);
    }

    /// 159 M parameters, none of them filled: hidden 1024, 8 layers, 16 heads, 8 key heads, MLP 2816, vocabulary 32000.
    public static CausalLm decodingShape() {
        return llama(32000, 1024, 2816, 8, 16, 8, false);
    }

    /// One of the same vocabulary, 19.6 M parameters: hidden 256, 4 layers, 4 heads, MLP 704.
    static CausalLm small(String weights) {
        return fill(llama(32000, 256, 704, 4, 4, 4, false), weights);
    }

    /// Any text does: what a pass costs does not depend on its tokens.
    public static int[] prompt() {
        return new SplittableRandom(1).ints(PROMPT, 3, 32000).toArray();
    }

    private static CausalLm llama(int vocab, int hidden, int mlp, int layers, int heads, int keyHeads, boolean biased) {
        return new Llama(
                new LlamaConfig(vocab, hidden, mlp, layers, heads, keyHeads, hidden / heads, 1e-5, 10_000, new RopeScaling.None(), 2048,
                        biased, biased, false, 0.02, OptionalInt.of(1), List.of(2), OptionalInt.empty()));
    }

    /// A folder of an adapter that a bench has written.
    static void delete(Path folder) throws IOException {
        try (Stream<Path> files = Files.list(folder)) {
            for (Path file : files.toList()) Files.delete(file);
        }
        Files.delete(folder);
    }

    /// Fills one parameter after the other: beside what is stored, never more than one is held in f32.
    private static CausalLm fill(CausalLm model, String weights) {
        Set<Parameter> products = model.modules(Linear.class).map(Linear::weight).collect(Collectors.toSet());
        model.parameters().forEach(p -> {
            try (var _ = Scope.untracked()) {
                boolean matrix = p.shape().rank() == 2;
                Tensor values = (matrix ? Init.normal(0.02) : Init.ones()).values(p.shape(), p.name().hashCode());
                p.fill(switch (weights) {
                    case "f32" -> new Weight.Dense(values);
                    case "bf16" -> new Weight.Dense(matrix ? values.to(DType.BF16) : values);
                    case "q8" -> products.contains(p) ? Weight.Q8.of(values) : new Weight.Dense(values);
                    case "nf4" -> products.contains(p) && p != model.head().weight() ? Weight.Nf4.of(values) : new Weight.Dense(values);
                    default -> throw new IllegalArgumentException("no form of weights '" + weights + "'; there are f32, bf16, q8, nf4");
                });
            }
        });
        return model;
    }
}
