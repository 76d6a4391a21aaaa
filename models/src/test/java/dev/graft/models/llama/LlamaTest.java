package dev.graft.models.llama;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.graft.models.GoldenTensors;
import dev.graft.models.Inputs;
import dev.graft.models.KeysValues;
import dev.graft.models.KvCache;
import dev.graft.models.SelfAttention;
import dev.graft.models.VirtualTokens;
import dev.graft.models.generate.Session;
import dev.graft.models.io.Json;
import dev.graft.nn.Layer;
import dev.graft.nn.LayerHook;
import dev.graft.nn.Linear;
import dev.graft.nn.Parameter;
import dev.graft.tensor.DType;
import dev.graft.tensor.Grads;
import dev.graft.tensor.Scope;
import dev.graft.tensor.Tape;
import dev.graft.tensor.Tensor;
import dev.graft.tensor.TensorException;
import dev.graft.tensor.backend.HostMemory;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class LlamaTest {
    private static final int[] TEXT = {3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5};
    private static final String SMALL = "'vocab_size': 13, 'hidden_size': 10, 'intermediate_size': 7, 'num_hidden_layers': 2, 'num_attention_heads': 6, 'head_dim': 4";

    @ParameterizedTest
    @ValueSource(strings = {"'num_key_value_heads': 6", "'num_key_value_heads': 1", "'num_key_value_heads': 3, 'tie_word_embeddings': true",
            "'num_key_value_heads': 2, 'attention_bias': true", "'mlp_bias': true, 'rms_norm_eps': 0.1",
            "'rope_scaling': {'type': 'linear', 'factor': 3}, 'rope_theta': 40",
            "'rope_parameters': {'rope_type': 'llama3', 'rope_theta': 90, 'factor': 4, 'low_freq_factor': 1, 'high_freq_factor': 4, 'original_max_position_embeddings': 16}"})
    void everyVariantComputesWhatTheFormulasSay(String variant) {
        try (Llama model = model(SMALL + ", " + variant); var _ = Scope.open()) {
            Map<String, float[]> weights = model.parameters().collect(Collectors.toMap(Parameter::name, p -> p.value().toFloats()));
            int[] text = IntStream.range(0, 70).map(i -> TEXT[i * i % TEXT.length]).toArray();     // longer than the first table of angles
            double[][] expected = new LlamaByHand(model.config(), weights).logits(text);
            float[] flat = new float[expected.length * 13];
            for (int i = 0; i < flat.length; i++) flat[i] = (float) expected[i / 13][i % 13];
            GoldenTensors.check("logits", model.logits(Inputs.of(new int[][] {text})).toFloats(), flat, 1e-4);
        }
    }

    @Test
    void aTiedHeadIsOneParameterWhoseGradientIsTheSumOfBothUses() {
        try (Llama model = model(SMALL + ", 'tie_word_embeddings': true"); var _ = Scope.open()) {
            assertThat(model.parameters().map(Parameter::name)).doesNotContain("lm_head.weight").contains("model.embed_tokens.weight");
            assertThat(model.head().path()).isEqualTo("lm_head");
            assertThat(model.head().weight()).isSameAs(model.embedding().weight());
            assertThat(model.parameterCount()).isEqualTo(13 * 10 + 10 + 2 * (2 * 10 + 4 * 10 * 24 + 3 * 10 * 7));

            Parameter table = model.embedding().weight();
            float[] both = gradient(model, table, false, false);
            float[] asEmbedding = gradient(model, table, false, true);
            float[] asHead = gradient(model, table, true, false);
            float[] sum = new float[both.length];
            for (int i = 0; i < sum.length; i++) sum[i] = asEmbedding[i] + asHead[i];
            GoldenTensors.check("gradient", both, sum, 1e-5);
            assertThat(asHead).isNotEqualTo(both);
        }
    }

    /// Of the sum of squared logits; one of both uses may be cut off.
    private static float[] gradient(Llama model, Parameter p, boolean cutEmbedding, boolean cutHead) {
        p.trainable(true);
        try (Tape tape = Tape.open()) {
            Tensor h = model.hidden(text(), null);
            if (cutEmbedding) h = h.detach();
            Tensor weight = cutHead ? p.value().detach() : p.value();
            try (Grads grads = tape.backward(h.matmulT(weight).square().sum())) {
                return grads.of(p).toFloats();
            }
        }
    }

    @Test
    void paddingOnEitherSideChangesNothing() {
        try (Llama model = model(SMALL); var _ = Scope.open()) {
            float[] alone = model.logits(text()).toFloats();
            for (int before = 0; before <= 3; before++) {
                int[][] ids = {new int[TEXT.length + 3]};
                int[][] mask = {new int[TEXT.length + 3]};
                System.arraycopy(TEXT, 0, ids[0], before, TEXT.length);
                Arrays.fill(mask[0], before, before + TEXT.length, 1);
                Tensor padded = model.logits(Inputs.of(ids, mask));
                assertThat(padded.toFloats()).doesNotContain(Float.NaN);
                GoldenTensors.check("padded", padded.slice(1, before, before + TEXT.length).toFloats(), alone, 1e-5);
            }
        }
    }

    @Test
    void aPrefixOfKeysAndValuesStandsForTheTokensItWasMadeFrom() {
        try (Llama model = model(SMALL + ", 'num_key_value_heads': 3"); var _ = Scope.open()) {
            float[] whole = model.logits(text()).slice(1, 4, TEXT.length).toFloats();
            List<SelfAttention> attentions = model.modules(SelfAttention.class).toList();
            assertThat(attentions).hasSize(2);
            float[][][] seen = new float[2][2][];
            for (int i = 0; i < 2; i++) capture(attentions.get(i), seen[i]);
            List<Tensor> states = model.hiddenStates(Inputs.of(new int[][] {Arrays.copyOf(TEXT, 4)}));
            assertThat(states).hasSize(3);

            model.virtualTokens(new VirtualTokens.Prefix() {
                @Override
                public int count() {
                    return 4;
                }

                @Override
                public KeysValues of(int layer, Tensor x) {
                    int rows = x.dim(0);
                    Tensor k = rotated(model.config(), seen[layer][0]);
                    Tensor v = Tensor.of(seen[layer][1], 1, 4, 3, 4);
                    return new KeysValues(k.expand(rows, 4, 3, 4), v.expand(rows, 4, 3, 4));
                }
            });
            int[] rest = Arrays.copyOfRange(TEXT, 4, TEXT.length);
            GoldenTensors.check("behind a prefix", model.logits(Inputs.of(new int[][] {rest})).toFloats(), whole, 1e-4);
            decodes(model, rest, whole);
        }
    }

    @Test
    void aPromptOfEmbeddingsStandsForTheTokensItWasMadeFrom() {
        try (Llama model = model(SMALL); var _ = Scope.open()) {
            float[] whole = model.logits(text()).slice(1, 4, TEXT.length).toFloats();
            Tensor four = model.embedding().forward(Tensor.of(Arrays.copyOf(TEXT, 4), 1, 4));
            model.virtualTokens(new VirtualTokens.Prompt() {
                @Override
                public int count() {
                    return 4;
                }

                @Override
                public Tensor embeddings(int rows) {
                    return four.expand(rows, 4, 10);
                }
            });
            int[] rest = Arrays.copyOfRange(TEXT, 4, TEXT.length);
            Inputs in = Inputs.of(new int[][] {rest});
            GoldenTensors.check("behind a prompt", model.logits(in).toFloats(), whole, 1e-4);
            assertThat(model.hiddenStates(in)).allSatisfy(h -> assertThat(h.dim(1)).isEqualTo(rest.length));
            decodes(model, rest, whole);
            assertThatThrownBy(() -> model.virtualTokens(new VirtualTokens.Prompt() {
                @Override
                public int count() {
                    return 1;
                }

                @Override
                public Tensor embeddings(int rows) {
                    return four;
                }
            })).isInstanceOf(TensorException.class).hasMessageContaining("has 4 virtual tokens already");
            model.virtualTokens(null);
            GoldenTensors.check("without", model.logits(text()).slice(1, 4, TEXT.length).toFloats(), whole, 0);
        }
    }

    /// A session over a padded batch, token by token.
    private static void decodes(Llama model, int[] text, float[] logits) {
        try (Session session = model.open(List.of(new int[] {text[0]}, new int[] {1, 2, text[0]}), text.length)) {
            for (int t = 0; t < text.length; t++) {
                GoldenTensors.check("token " + t, session.logits()[0], Arrays.copyOfRange(logits, t * 13, (t + 1) * 13), 1e-4);
                if (t + 1 < text.length) session.advance(new int[] {text[t + 1], 3});
            }
        }
    }

    @Test
    void checkpointingHoldsLittleMoreThanTheInputsOfBlocks() {
        try (Llama model = model(SMALL.replace("'num_hidden_layers': 2", "'num_hidden_layers': 8"))) {
            model.parameters().forEach(p -> p.trainable(true));
            long plain = heldForBackward(model);
            model.checkpointing(true);
            assertThat(model.checkpointing()).isTrue();
            assertThat(heldForBackward(model)).isLessThan(plain / 5);
        }
    }

    /// Bytes that wait for the backward pass.
    private static long heldForBackward(Llama model) {
        try (Tape _ = Tape.open()) {
            Inputs in = Inputs.of(new int[][] {new int[40], new int[40]});
            long before = HostMemory.shared().stats().live();
            Tensor h = model.hidden(in, null);
            assertThat(h.shape().dims()).containsExactly(2, 40, 10);
            return HostMemory.shared().stats().live() - before;
        }
    }

    @Test
    void withoutATapeDeeperModelsHoldNoMore() {
        assertThat(heldAfterInference("8")).isEqualTo(heldAfterInference("2"));
    }

    private static long heldAfterInference(String layers) {
        try (Llama model = model(SMALL.replace("'num_hidden_layers': 2", "'num_hidden_layers': " + layers)); var _ = Scope.open()) {
            model.hidden(text(), null);                                          // makes the rotary table
            long before = HostMemory.shared().stats().live();
            model.hidden(text(), null);
            return HostMemory.shared().stats().live() - before;
        }
    }

    @Test
    void decodingHoldsNothingBetweenStepsButItsCache() {
        try (Llama model = model(SMALL)) {
            try (Session warm = model.open(List.of(TEXT), 64)) {
                warm.advance(new int[] {1});
            }
            long before = HostMemory.shared().stats().live();
            try (Session session = model.open(List.of(TEXT, new int[] {1}), 50)) {
                long started = HostMemory.shared().stats().live();
                for (int i = 0; i < 50; i++) session.advance(new int[] {i % 13, 1});
                assertThat(HostMemory.shared().stats().live()).isEqualTo(started);
            }
            assertThat(HostMemory.shared().stats().live()).isEqualTo(before);
        }
    }

    @Test
    void threadsShareAModel() throws Exception {
        try (Llama model = model(SMALL); var threads = Executors.newFixedThreadPool(3)) {
            List<Future<float[]>> results = new ArrayList<>();
            for (int i = 0; i < 9; i++) {
                results.add(threads.submit(() -> {
                    try (Session session = model.open(List.of(TEXT), 100)) {
                        for (int step = 0; step < 100; step++) session.advance(new int[] {step % 13});
                        return session.logits()[0];
                    }
                }));
            }
            float[] first = results.getFirst().get();
            for (Future<float[]> result : results) assertThat(result.get()).isEqualTo(first);
        }
    }

    @Test
    void aWrongNumberOfTokensOrAnEmptyPromptIsRefused() {
        try (Llama model = model(SMALL); Session session = model.open(List.of(TEXT, TEXT), 3)) {
            assertThatThrownBy(() -> session.advance(new int[] {1})).hasMessageContaining("2 rows need as many tokens, got 1");
            assertThatThrownBy(() -> model.open(List.of(TEXT, new int[0]), 3)).hasMessageContaining("prompt 1 is empty");
            assertThatThrownBy(() -> model.open(List.of(new int[] {13}), 3)).hasMessageContaining("13 is outside 0 … 12");
        }
    }

    @Test
    void badBatchesAreRefused() {
        assertThatThrownBy(() -> Inputs.of(new int[][] {{1, 2}, {3}})).hasMessageContaining("row 1 of the batch has another length");
        assertThatThrownBy(() -> Inputs.of(new int[][] {{}})).hasMessageContaining("at least one token");
        assertThatThrownBy(() -> Inputs.of(new int[][] {{1}}, new int[][] {{2}})).hasMessageContaining("a mask is 0 or 1, got 2");
    }

    @Test
    void trainingThroughACacheIsRefused() {
        try (Llama model = model(SMALL); Tape _ = Tape.open(); var cache = new KvCache(20)) {
            model.parameters().forEach(p -> p.trainable(true));
            assertThatThrownBy(() -> model.hidden(text(), cache)).isInstanceOf(TensorException.class).hasMessageContaining("[kv_cache]")
                    .hasMessageContaining("train without a cache");
        }
    }

    @Test
    void aFullCacheSaysSo() {
        try (Llama model = model(SMALL); var _ = Scope.open(); var cache = new KvCache(10)) {
            assertThatThrownBy(() -> model.hidden(text(), cache)).hasMessageContaining("11 tokens do not fit into a cache of 10");
        }
    }

    @Test
    void wholeSublayersCanBeSurrounded() {
        try (Llama model = model(SMALL); var _ = Scope.open()) {
            float[] before = model.logits(text()).toFloats();
            List<Layer> sublayers = model.modules(Layer.class).filter(l -> l.path().endsWith(".self_attn") || l.path().endsWith(".mlp"))
                    .toList();
            assertThat(sublayers).hasSize(4);
            sublayers.forEach(l -> l.attach((x, next) -> {
                assertThat(x.shape().dims()).containsExactly(1, TEXT.length, 10);
                return next.apply(x).mul(0);
            }));
            // With every sublayer silenced the blocks pass their input on.
            Tensor embedded = model.embedding().forward(Tensor.of(TEXT, 1, TEXT.length));
            GoldenTensors.check("silenced", model.logits(text()).toFloats(),
                    model.head().forward(model.norm().forward(embedded)).toFloats(), 1e-6);
            assertThat(model.logits(text()).toFloats()).isNotEqualTo(before);
        }
    }

    @Test
    void attentionWithoutAPassIsThatOfATextWithoutPadding() {
        try (Llama model = model(SMALL); var _ = Scope.open()) {
            SelfAttention attention = model.modules(SelfAttention.class).findFirst().orElseThrow();
            float[][] seen = new float[2][];
            LayerHook spy = (x, next) -> {
                Tensor y = next.apply(x);
                seen[0] = x.toFloats();
                seen[1] = y.toFloats();
                return y;
            };
            attention.attach(spy);
            model.logits(text());
            attention.detach(spy);
            Tensor x = Tensor.of(seen[0], 1, TEXT.length, 10);
            GoldenTensors.check("alone", attention.forward(Tensor.cat(0, x, x)).slice(0, 1, 2).toFloats(), seen[1], 1e-6);
        }
    }

    @Test
    void theSameSeedInitialisesToTheSameBits() {
        try (Llama a = new Llama(config(SMALL)); Llama b = new Llama(config(SMALL)); var _ = Scope.open()) {
            a.initialise(7);
            b.initialise(7);
            float[] q = a.parameters().filter(p -> p.name().endsWith("0.self_attn.q_proj.weight")).findFirst().orElseThrow().value()
                    .toFloats();
            float[] k = a.parameters().filter(p -> p.name().endsWith("1.self_attn.q_proj.weight")).findFirst().orElseThrow().value()
                    .toFloats();
            assertThat(a.logits(text()).toFloats()).isEqualTo(b.logits(text()).toFloats());
            assertThat(q).isNotEqualTo(k);
            assertThat(Math.sqrt(sumOfSquares(q) / q.length)).isBetween(0.018, 0.022);
            assertThat(a.norm().weight().value().toFloats()).containsOnly(1);
            b.initialise(8);
            assertThat(a.logits(text()).toFloats()).isNotEqualTo(b.logits(text()).toFloats());
        }
    }

    private static double sumOfSquares(float[] values) {
        double sum = 0;
        for (float v : values) sum += v * v;
        return sum;
    }

    /// Notes what k_proj and v_proj give the first time, `[1, T, K·D]`.
    private static void capture(SelfAttention attention, float[][] into) {
        attention.modules(Linear.class).forEach(l -> {
            int slot = l.path().endsWith(".k_proj") ? 0 : l.path().endsWith(".v_proj") ? 1 : -1;
            if (slot >= 0) {
                l.attach((x, next) -> {
                    Tensor y = next.apply(x);
                    if (into[slot] == null) into[slot] = y.toFloats();
                    return y;
                });
            }
        });
    }

    private static Tensor rotated(LlamaConfig c, float[] u) {
        float[] y = new float[u.length];
        int width = c.keyValueHeads() * c.headDim();
        int half = c.headDim() / 2;
        double[] omega = c.ropeFrequencies();
        for (int j = 0; j < u.length; j++) {
            double angle = j / width * omega[j % half];
            boolean first = j % c.headDim() < half;
            y[j] = (float) (u[j] * Math.cos(angle) + (first ? -u[j + half] : u[j - half]) * Math.sin(angle));
        }
        return Tensor.of(y, 1, u.length / width, c.keyValueHeads(), c.headDim());
    }

    private static Inputs text() {
        return Inputs.of(new int[][] {TEXT});
    }

    private static LlamaConfig config(String keys) {
        return LlamaConfig.of(Json.parse("{" + keys.replace('\'', '"') + "}", "config.json"));
    }

    /// With weights large enough that every part matters.
    private static Llama model(String keys) {
        Llama model = new Llama(config(keys));
        try (var _ = Scope.open()) {
            int[] seed = {0};
            model.parameters().forEach(p -> p.fill(Tensor.randn(DType.F32, p.shape(), ++seed[0]).mul(0.3)));
        }
        return model;
    }
}
