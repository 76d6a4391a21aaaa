package dev.graft.peft.method;

import dev.graft.models.CausalLm;
import dev.graft.models.ModelConfig;
import dev.graft.nn.Init;
import dev.graft.nn.Parameter;
import dev.graft.peft.Adapter;
import dev.graft.peft.AdapterException;
import dev.graft.peft.AttachModel;
import dev.graft.peft.Targets;
import dev.graft.tensor.Shape;
import dev.graft.tensor.Tensor;
import java.util.Set;
import java.util.function.Supplier;

/// P-tuning (Liu et al. 2021, arXiv:2103.10385): embeddings before those of the text, made by a small network while they are trained.
///
/// ```
/// x₀ = [P ; E[ids]]                    P: [n, C]; the text's positions count on from n
/// P = W₃ relu(W₂ relu(W₁ T + b₁) + b₂) + b₃            MLP; T: [n, C], W₁: [h, C], W₂: [h, h], W₃: [C, h]
/// P = W₂ relu(W₁ lstm(T) + b₁) + b₂                    LSTM, in both directions; lstm(T): [n, 2h], W₁: [2h, 2h], W₂: [C, 2h]
/// ```
/// Trained, MLP: `n C + h (C + 1) + h (h + 1) + C (h + 1)`. LSTM: `n C + 2h (2h + 1) + C (2h + 1)` and, of the [Lstm], `8 h (k + h + 2)` a layer, where k is
/// C in the first and 2h in the others. Not neutral at the start; not merged. A file holds P alone, so training goes on from one with P itself, as in
/// [PromptTuning].
///
/// @param encoderReparameterizationType `MLP` or `LSTM`
/// @param encoderHiddenSize h, or null for C
/// @param encoderNumLayers layers of the LSTM; the MLP has three matrices always
/// @param encoderDropout share of the elements between the LSTM's layers that training leaves out
public record PTuning(PromptShape prompt, String encoderReparameterizationType, Integer encoderHiddenSize, int encoderNumLayers,
        double encoderDropout) implements Adapter {

    /// PEFT's defaults, and twenty tokens, where it has no default.
    public static final PTuning DEFAULT = new PTuning(PromptShape.of(20), "MLP", null, 2, 0);

    private static final String HEAD = "prompt_encoder.mlp_head.";

    public PTuning {
        if (!Set.of("MLP", "LSTM").contains(encoderReparameterizationType)) {
            throw new AdapterException(
                    "encoder_reparameterization_type must be MLP or LSTM, got \"" + encoderReparameterizationType + "\"");
        }
        if (encoderHiddenSize != null && encoderHiddenSize < 1)
            throw new AdapterException("encoder_hidden_size must be at least 1, got " + encoderHiddenSize);
        if (encoderNumLayers < 1) throw new AdapterException("encoder_num_layers must be at least 1, got " + encoderNumLayers);
        Require.share("encoder_dropout", encoderDropout);
    }

    @Override
    public void onModel(CausalLm model, AttachModel at) {
        Shape shape = Shape.of(prompt.numVirtualTokens(), model.config().hidden());
        Supplier<Tensor> p;
        if (at.isNew()) {
            p = encoder(shape, at);
            at.saves("prompt_embeddings", p);
        } else {
            p = at.param("prompt_embeddings", shape, Init.zeros())::value;
        }
        at.virtualTokens(new SoftPrompt(shape.dim(0), p));
    }

    private Supplier<Tensor> encoder(Shape shape, AttachModel at) {
        int c = shape.dim(1), h = encoderHiddenSize == null ? c : encoderHiddenSize;
        Parameter table = at.encoder("prompt_encoder.embedding.weight", shape, Init.normal(1));
        if (encoderReparameterizationType.equals("MLP")) {
            Affine first = affine("0", c, h, at), second = affine("2", h, h, at), third = affine("4", h, c, at);
            return () -> third.of(second.of(first.of(table.value()).relu()).relu());
        }
        Lstm lstm = new Lstm("prompt_encoder.lstm_head", c, h, encoderNumLayers, encoderDropout, at);
        Affine first = affine("0", 2 * h, 2 * h, at), second = affine("2", 2 * h, c, at);
        return () -> second.of(first.of(lstm.of(table.value())).relu());
    }

    private record Affine(Parameter w, Parameter b) {
        Tensor of(Tensor x) {
            return x.matmulT(w.value()).add(b.value());
        }
    }

    private static Affine affine(String name, int in, int out, AttachModel at) {
        return new Affine(at.encoder(HEAD + name + ".weight", Shape.of(out, in), Init.kaimingUniform()),
                at.encoder(HEAD + name + ".bias", Shape.of(out), Init.uniform(1 / Math.sqrt(in))));
    }

    @Override
    public Adapter fitted(ModelConfig model) {
        PromptShape fitted = prompt.asEmbeddings(model);
        return new PTuning(fitted, encoderReparameterizationType, encoderHiddenSize == null ? fitted.tokenDim() : encoderHiddenSize,
                encoderNumLayers, encoderDropout);
    }

    @Override
    public String peftType() {
        return "P_TUNING";
    }

    @Override
    public Targets targets() {
        return Targets.NONE;
    }
}
