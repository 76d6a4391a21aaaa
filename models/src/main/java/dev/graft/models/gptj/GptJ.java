package dev.graft.models.gptj;

import dev.graft.models.Block;
import dev.graft.models.CausalLm;
import dev.graft.models.KeysValues;
import dev.graft.models.Pass;
import dev.graft.models.Rotary;
import dev.graft.models.SelfAttention;
import dev.graft.nn.Embedding;
import dev.graft.nn.Layer;
import dev.graft.nn.LayerNorm;
import dev.graft.nn.Linear;
import dev.graft.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.regex.Pattern;

/// GPT-J (Wang and Komatsuzaki 2021, github.com/kingoflolz/mesh-transformer-jax): attention and MLP side by side.
///
/// ```
/// block:   y = x + attention(n) + mlp(n)       n = ln(x)
/// mlp:     fc_out(gelu_tanh(fc_in(n)))
/// logits:  head(ln(x_L))                        the head has a bias
/// ```
public final class GptJ extends CausalLm {
    private final GptJConfig config;
    private final Embedding wte;
    private final List<GptJBlock> h = new ArrayList<>();
    private final LayerNorm lnF;
    private final Linear lmHead;

    /// A model without values yet: load a checkpoint or [#initialise] it.
    public GptJ(GptJConfig config) {
        this.config = config;
        wte = child("transformer.wte", new Embedding(config.vocab(), config.hidden()));
        Rotary rotary = child("transformer.rotary", new Rotary(Rotary.frequencies(10000, config.rotaryDim()), true));
        for (int i = 0; i < config.layers(); i++) h.add(child("transformer.h." + i, new GptJBlock(config, rotary, i)));
        lnF = child("transformer.ln_f", new LayerNorm(config.hidden(), config.normEps()));
        lmHead = child("lm_head", new Linear(config.hidden(), config.vocab(), true));
    }

    /// Attention whose queries and keys turn in the first elements of each head, neighbours together.
    ///
    /// ```
    /// q = rope(q_proj x)    k = rope(k_proj x)    v = v_proj x        out_proj(softmax(q kᵀ/√D) v)
    /// ```
    private static final class Attention extends SelfAttention {
        private final int headDim;
        private final Rotary rotary;
        private final Linear kProj;
        private final Linear vProj;
        private final Linear qProj;
        private final Linear outProj;

        Attention(GptJConfig c, Rotary rotary, int layer) {
            super(layer);
            this.rotary = rotary;
            headDim = c.headDim();
            kProj = child("k_proj", new Linear(c.hidden(), c.hidden(), false));
            vProj = child("v_proj", new Linear(c.hidden(), c.hidden(), false));
            qProj = child("q_proj", new Linear(c.hidden(), c.hidden(), false));
            outProj = child("out_proj", new Linear(c.hidden(), c.hidden(), false));
        }

        @Override
        protected Tensor compute(Tensor x, Pass pass) {
            Tensor q = rotary.turn(heads(qProj.forward(x)), pass);                // [B, T, H, D]
            KeysValues kv = keysValues(x);
            Tensor y = attend(x, q, rotary.turn(kv.keys(), pass), kv.values(), pass);
            return outProj.forward(y.reshape(x.dim(0), x.dim(1), -1));
        }

        @Override
        public KeysValues keysValues(Tensor x) {
            return new KeysValues(heads(kProj.forward(x)), heads(vProj.forward(x)));
        }

        private Tensor heads(Tensor x) {
            return x.reshape(x.dim(0), x.dim(1), -1, headDim);
        }
    }

    private static final class Mlp extends Layer {
        private final Linear fcIn;
        private final Linear fcOut;

        Mlp(GptJConfig c) {
            fcIn = child("fc_in", new Linear(c.hidden(), c.intermediate(), true));
            fcOut = child("fc_out", new Linear(c.intermediate(), c.hidden(), true));
        }

        @Override
        protected Tensor compute(Tensor x) {
            return fcOut.forward(fcIn.forward(x).geluTanh());
        }
    }

    private static final class GptJBlock extends Block {
        private final LayerNorm ln1;
        private final Attention attn;
        private final Mlp mlp;

        GptJBlock(GptJConfig c, Rotary rotary, int layer) {
            ln1 = child("ln_1", new LayerNorm(c.hidden(), c.normEps()));
            attn = child("attn", new Attention(c, rotary, layer));
            mlp = child("mlp", new Mlp(c));
        }

        @Override
        protected Tensor compute(Tensor x, Pass pass) {
            Tensor n = ln1.forward(x);
            return x.add(attn.forward(n, pass)).add(mlp.forward(n));
        }
    }

    /// Old files hold the causal mask, under a name that looks like a bias, and what it was filled with.
    @Override
    protected Optional<String> parameterOf(String key) {
        return MASK.matcher(key).matches() ? Optional.empty() : Optional.of(key);
    }

    private static final Pattern MASK = Pattern.compile("transformer\\.h\\.\\d+\\.attn\\.(bias|masked_bias)");

    @Override
    public GptJConfig config() {
        return config;
    }

    @Override
    public Embedding embedding() {
        return wte;
    }

    @Override
    public List<? extends Block> blocks() {
        return h;
    }

    @Override
    public LayerNorm norm() {
        return lnF;
    }

    @Override
    public Linear head() {
        return lmHead;
    }
}
