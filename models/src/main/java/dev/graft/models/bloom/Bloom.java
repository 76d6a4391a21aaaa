package dev.graft.models.bloom;

import dev.graft.models.Block;
import dev.graft.models.CausalLm;
import dev.graft.models.KeysValues;
import dev.graft.models.Pass;
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

/// BLOOM (Scao et al. 2022, arXiv:2211.05100).
///
/// ```
/// x₀ = ln(embed(ids))
/// block:   a = x + attention(ln(x))        y = a + mlp(ln(a))        with apply_residual_connection_post_layernorm: ln(x) + …, ln(a) + …
/// mlp:     dense_4h_to_h(gelu_tanh(dense_h_to_4h(n)))
/// logits:  head(ln(x_L))                   the head is the embedding matrix when tied
/// ```
public final class Bloom extends CausalLm {
    private final BloomConfig config;
    private final Embedding wordEmbeddings;
    private final LayerNorm wordEmbeddingsLayernorm;
    private final List<BloomBlock> h = new ArrayList<>();
    private final LayerNorm lnF;
    private final Linear lmHead;
    private final Alibi alibi;

    /// A model without values yet: load a checkpoint or [#initialise] it.
    public Bloom(BloomConfig config) {
        this.config = config;
        alibi = new Alibi(config.heads());
        wordEmbeddings = child("transformer.word_embeddings", new Embedding(config.vocab(), config.hidden()));
        wordEmbeddingsLayernorm = child("transformer.word_embeddings_layernorm", new LayerNorm(config.hidden(), config.normEps()));
        for (int i = 0; i < config.layers(); i++) h.add(child("transformer.h." + i, new BloomBlock(config, i)));
        lnF = child("transformer.ln_f", new LayerNorm(config.hidden(), config.normEps()));
        lmHead = child("lm_head",
                config.tied() ? Linear.tiedTo(wordEmbeddings.weight()) : new Linear(config.hidden(), config.vocab(), false));
    }

    /// Attention with a bias by distance. One projection makes queries, keys and values, head by head.
    ///
    /// ```
    /// query_key_value x: [B, T, H, 3, D] = (q, k, v)        dense(softmax(q kᵀ/√D + alibi) v)
    /// ```
    private static final class Attention extends SelfAttention {
        private final int heads;
        private final Linear queryKeyValue;
        private final Linear dense;

        Attention(BloomConfig c, int layer) {
            super(layer);
            heads = c.heads();
            queryKeyValue = child("query_key_value", new Linear(c.hidden(), 3 * c.hidden(), true));
            dense = child("dense", new Linear(c.hidden(), c.hidden(), true));
        }

        @Override
        protected Tensor compute(Tensor x, Pass pass) {
            Tensor qkv = queryKeyValue(x);
            Tensor y = attend(x, one(qkv, 0), one(qkv, 1), one(qkv, 2), pass);       // [B, T, H, D]
            return dense.forward(y.reshape(x.dim(0), x.dim(1), -1));
        }

        @Override
        public KeysValues keysValues(Tensor x) {
            Tensor qkv = queryKeyValue(x);
            return new KeysValues(one(qkv, 1), one(qkv, 2));
        }

        private Tensor queryKeyValue(Tensor x) {
            return queryKeyValue.forward(x).reshape(x.dim(0), x.dim(1), heads, 3, -1);
        }

        private static Tensor one(Tensor qkv, int which) {
            return qkv.slice(3, which, which + 1).squeeze(3);                     // [B, T, H, D]
        }
    }

    private static final class Mlp extends Layer {
        private final Linear denseHTo4h;
        private final Linear dense4hToH;

        Mlp(BloomConfig c) {
            denseHTo4h = child("dense_h_to_4h", new Linear(c.hidden(), 4 * c.hidden(), true));
            dense4hToH = child("dense_4h_to_h", new Linear(4 * c.hidden(), c.hidden(), true));
        }

        @Override
        protected Tensor compute(Tensor x) {
            return dense4hToH.forward(denseHTo4h.forward(x).geluTanh());
        }
    }

    private static final class BloomBlock extends Block {
        private final boolean residualAfterNorm;
        private final LayerNorm inputLayernorm;
        private final Attention selfAttention;
        private final LayerNorm postAttentionLayernorm;
        private final Mlp mlp;

        BloomBlock(BloomConfig c, int layer) {
            residualAfterNorm = c.residualAfterNorm();
            inputLayernorm = child("input_layernorm", new LayerNorm(c.hidden(), c.normEps()));
            selfAttention = child("self_attention", new Attention(c, layer));
            postAttentionLayernorm = child("post_attention_layernorm", new LayerNorm(c.hidden(), c.normEps()));
            mlp = child("mlp", new Mlp(c));
        }

        @Override
        protected Tensor compute(Tensor x, Pass pass) {
            Tensor n = inputLayernorm.forward(x);
            Tensor a = (residualAfterNorm ? n : x).add(selfAttention.forward(n, pass));
            Tensor m = postAttentionLayernorm.forward(a);
            return (residualAfterNorm ? m : a).add(mlp.forward(m));
        }
    }

    @Override
    protected Tensor enter(Tensor embeddings) {
        return wordEmbeddingsLayernorm.forward(embeddings);
    }

    @Override
    protected Pass prepare(Pass pass) {
        return pass.withBias(alibi.bias(pass));
    }

    /// The published files were saved without the head, so their names lack `transformer.`; old ones hold the causal mask; a tied checkpoint may name its
    /// embedding a second time, as the head.
    @Override
    protected Optional<String> parameterOf(String key) {
        if (CAUSAL_MASK.matcher(key).matches()) return Optional.empty();
        if (key.equals("lm_head.weight")) return Optional.of(config.tied() ? wordEmbeddings.weight().name() : key);
        return Optional.of(key.startsWith("transformer.") ? key : "transformer." + key);
    }

    private static final Pattern CAUSAL_MASK = Pattern
            .compile("(transformer\\.)?h\\.\\d+\\.self_attention\\.scale_mask_softmax\\.causal_mask");

    @Override
    public BloomConfig config() {
        return config;
    }

    @Override
    public Embedding embedding() {
        return wordEmbeddings;
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
