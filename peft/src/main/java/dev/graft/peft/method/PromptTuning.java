package dev.graft.peft.method;

import dev.graft.models.CausalLm;
import dev.graft.models.ModelConfig;
import dev.graft.models.text.Tokenizer;
import dev.graft.nn.Init;
import dev.graft.nn.Parameter;
import dev.graft.peft.Adapter;
import dev.graft.peft.AdapterException;
import dev.graft.peft.AttachModel;
import dev.graft.peft.Targets;
import dev.graft.tensor.DType;
import dev.graft.tensor.Shape;
import dev.graft.tensor.Tensor;
import dev.graft.tensor.op.Random;
import java.nio.file.Path;
import java.util.Set;
import java.util.stream.IntStream;

/// Prompt tuning (Lester et al. 2021, arXiv:2104.08691): trained embeddings before those of the text.
///
/// ```
/// x₀ = [P ; E[ids]]                    P: [n, C]; the text's positions count on from n
/// ```
/// Trained: `n C` in all, whatever the number of layers. Not neutral at the start, since attention spends some of its weight on P. Not merged: P is part of
/// the input. No label stands at a virtual token, and the first token of the text is not predicted from the last of them.
///
/// @param promptTuningInit how P starts: `RANDOM` (normal with deviation 1, as PEFT's embeddings start), `SAMPLE_VOCAB` (embeddings of
/// random tokens) or `TEXT` (those of a text's tokens, repeated or cut to n)
/// @param promptTuningInitText that text, or null
/// @param tokenizerNameOrPath folder of the tokenizer that reads it, or null
public record PromptTuning(PromptShape prompt, String promptTuningInit, String promptTuningInitText, String tokenizerNameOrPath)
        implements
            Adapter {

    /// PEFT's defaults, and twenty tokens, where it has no default.
    public static final PromptTuning DEFAULT = new PromptTuning(PromptShape.of(20), "RANDOM", null, null);

    public PromptTuning {
        if (!Set.of("RANDOM", "SAMPLE_VOCAB", "TEXT").contains(promptTuningInit)) {
            throw new AdapterException("prompt_tuning_init must be RANDOM, SAMPLE_VOCAB or TEXT, got \"" + promptTuningInit + "\"");
        }
    }

    @Override
    public void onModel(CausalLm model, AttachModel at) {
        Shape shape = Shape.of(prompt.numVirtualTokens(), model.config().hidden());
        Parameter p = at.param("prompt_embeddings", shape, at.isNew() ? start(model) : Init.zeros());
        at.virtualTokens(new SoftPrompt(shape.dim(0), p::value));
    }

    private Init start(CausalLm model) {
        return switch (promptTuningInit) {
            case "SAMPLE_VOCAB" -> (shape, seed) -> embeddings(model, IntStream.range(0, shape.dim(0))
                    .map(i -> Math.floorMod(Random.bits(seed, i), model.config().vocab())).toArray());
            case "TEXT" -> textStart(model);
            default -> Init.normal(1);
        };
    }

    private Init textStart(CausalLm model) {
        if (promptTuningInitText == null || tokenizerNameOrPath == null) {
            throw new AdapterException(
                    "prompt_tuning_init TEXT needs prompt_tuning_init_text and, to read it, tokenizer_name_or_path (a model's folder)");
        }
        return (shape, _) -> {
            int[] text;
            try (Tokenizer tokenizer = Tokenizer.load(Path.of(tokenizerNameOrPath))) {
                text = tokenizer.encode(promptTuningInitText);
            }
            if (text.length == 0) throw new AdapterException("prompt_tuning_init_text has no tokens");
            return embeddings(model, IntStream.range(0, shape.dim(0)).map(i -> text[i % text.length]).toArray());
        };
    }

    private static Tensor embeddings(CausalLm model, int[] ids) {
        for (int id : ids) {
            if (id >= model.config().vocab()) {
                throw new AdapterException(
                        "prompt_tuning_init_text holds the token %d, and the model's vocabulary has %d; take its own tokenizer"
                                .formatted(id, model.config().vocab()));
            }
        }
        return model.embedding().weight().value().gather(Tensor.of(ids, ids.length)).to(DType.F32);
    }

    @Override
    public Adapter fitted(ModelConfig model) {
        return new PromptTuning(prompt.asEmbeddings(model), promptTuningInit, promptTuningInitText, tokenizerNameOrPath);
    }

    @Override
    public Targets targets() {
        return Targets.NONE;
    }
}
