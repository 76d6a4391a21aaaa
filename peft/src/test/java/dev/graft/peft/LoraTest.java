package dev.graft.peft;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.graft.models.CausalLm;
import dev.graft.models.GoldenTensors;
import dev.graft.nn.Embedding;
import dev.graft.nn.Linear;
import dev.graft.nn.Parameter;
import dev.graft.peft.method.Lora;
import dev.graft.tensor.DType;
import dev.graft.tensor.Scope;
import dev.graft.tensor.Shape;
import dev.graft.tensor.Tape;
import dev.graft.tensor.Tensor;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/// The options of PEFT's LoRA.
class LoraTest {
    private static final String KEY = "base_model.model.model.layers.";

    // ---- starts ----

    @ParameterizedTest
    @CsvSource({"true, 9, 13", "gaussian, 9, 13", "orthogonal, 9, 13", "pissa, 9, 13", "pissa, 13, 9", "pissa, 8, 8",
            "pissa_niter_4, 9, 13", "olora, 9, 13",
            "olora, 13, 9"})
    void everyStartButFalseLeavesTheLayerAsItIs(String start, int in, int out) {
        try (Toy toy = Toy.linear("x", in, out, true).filled(DType.F32); var _ = Scope.open()) {
            Tensor x = Tensor.randn(DType.F32, Shape.of(5, in), 1);
            float[] before = toy.linear("x").forward(x).toFloats();
            try (Peft peft = Peft.attach(toy, Lora.of(4, 6, "x").with("init_lora_weights", start))) {
                GoldenTensors.check(start, toy.linear("x").forward(x).toFloats(), before, 1e-5);
                assertThat(peft.parameters()).hasSize(2);
                assertThat(peft.parameters().getFirst().value().abs().max().item()).isPositive();
                peft.merge();
                GoldenTensors.check(start, toy.linear("x").forward(x).toFloats(), before, 1e-5);
            }
            try (Peft _ = Peft.attach(toy, Lora.of(4, 6, "x").with("init_lora_weights", false))) {
                assertThat(toy.linear("x").forward(x).toFloats()).isNotEqualTo(before);
            }
        }
    }

    @Test
    void matricesStartFromTheirLaws() {
        try (Toy toy = Toy.linear("x", 400, 30, false).filled(DType.F32); var _ = Scope.open()) {
            double[] uniform = started(toy, "true", 0);
            assertThat(Arrays.stream(uniform).max().orElseThrow()).isBetween(0.0495, 0.05);                   // 1/√400
            assertThat(deviation(uniform)).isCloseTo(0.05 / Math.sqrt(3), within(1e-3));
            assertThat(deviation(started(toy, "gaussian", 0))).isCloseTo(0.25, within(0.01));                 // 1/r
            assertThat(started(toy, "true", 1)).containsOnly(0);
            assertThat(Arrays.stream(started(toy, "false", 1)).max().orElseThrow()).isBetween(0.45, 0.5);     // 1/√4
        }
    }

    private static double[] started(Toy toy, String start, int parameter) {
        try (Peft peft = Peft.attach(toy, Lora.of(4, 4, "x").with("init_lora_weights", start), 3)) {
            return peft.parameters().get(parameter).value().toDoubles();
        }
    }

    private static double deviation(double[] values) {
        double mean = Arrays.stream(values).average().orElseThrow();
        return Math.sqrt(Arrays.stream(values).map(v -> (v - mean) * (v - mean)).average().orElseThrow());
    }

    /// The principal part of a matrix is what no other of its rank comes nearer to; the rest is orthogonal to it.
    @ParameterizedTest
    @CsvSource({"40, 23, 3", "23, 40, 3", "40, 23, 23", "1, 5, 1", "5, 1, 1", "90, 70, 6"})
    void pissaTakesThePrincipalPart(int out, int in, int rank) {
        double[] known = new double[Math.min(out, in)];
        for (int i = 0; i < known.length; i++) known[i] = 10.0 / (1 + i * i);
        try (Toy toy = Toy.linear("x", in, out, false); var _ = Scope.open()) {
            toy.linear("x").weight().fill(withSingularValues(out, in, known));
            try (Peft peft = Peft.attach(toy, Lora.of(rank, 6 * rank, "x").with("init_lora_weights", "pissa"))) {
                Tensor a = peft.parameters().get(0).value();
                Tensor b = peft.parameters().get(1).value();
                double[] gram = a.matmulT(a).toDoubles();                                                     // √S Vᵀ V √S = S/s
                for (int i = 0; i < rank; i++) {
                    for (int j = 0; j < rank; j++) assertThat(gram[i * rank + j]).isCloseTo(i == j ? known[i] / 6 : 0, within(2e-5));
                }
                Tensor rest = toy.linear("x").weight().value().sub(b.matmul(a).mul(6));
                assertThat(rest.matmulT(a).abs().max().item()).isLessThan(1e-4);
                assertThat(rest.tMatmul(b).abs().max().item()).isLessThan(1e-4);
            }
        }
    }

    /// U diag(known) Vᵀ with orthonormal columns from the QR of random matrices.
    private static Tensor withSingularValues(int out, int in, double[] known) {
        int n = known.length;
        Tensor u = orthonormal(out, n, 1).mul(Tensor.of(known).to(DType.F32));
        return u.matmulT(orthonormal(in, n, 2));
    }

    private static Tensor orthonormal(int rows, int columns, long seed) {
        double[] x = Tensor.randn(DType.F64, Shape.of(columns, rows), seed).toDoubles();                      // Gram and Schmidt on rows
        for (int i = 0; i < columns; i++) {
            for (int pass = 0; pass < 2; pass++) {
                for (int k = 0; k < i; k++) {
                    double d = 0;
                    for (int j = 0; j < rows; j++) d += x[i * rows + j] * x[k * rows + j];
                    for (int j = 0; j < rows; j++) x[i * rows + j] -= d * x[k * rows + j];
                }
            }
            double norm = 0;
            for (int j = 0; j < rows; j++) norm += x[i * rows + j] * x[i * rows + j];
            for (int j = 0; j < rows; j++) x[i * rows + j] /= Math.sqrt(norm);
        }
        return Tensor.of(x, columns, rows).to(DType.F32).transpose(0, 1).contiguous();
    }

    @Test
    void oloraTakesTheFirstColumnsOfQAndRowsOfR() {
        try (Toy toy = Toy.linear("x", 7, 11, false).filled(DType.F32);
                var _ = Scope.open();
                Peft peft = Peft.attach(toy, Lora.of(3, 3, "x").with("init_lora_weights", "olora"))) {
            Tensor a = peft.parameters().get(0).value();
            Tensor b = peft.parameters().get(1).value();
            GoldenTensors.check("QᵀQ", b.tMatmul(b).toFloats(), new float[] {1, 0, 0, 0, 1, 0, 0, 0, 1}, 1e-6);
            float[] w = toy.linear("x").weight().value().toFloats();
            float[] product = b.matmul(a).toFloats();
            for (int i = 0; i < 11; i++) for (int j = 0; j < 3; j++) assertThat(product[i * 7 + j]).isCloseTo(w[i * 7 + j], within(1e-5f));  // Q R, its first columns whole
            for (int i = 1; i < 3; i++) for (int j = 0; j < i; j++) assertThat(a.toFloats()[i * 7 + j]).isCloseTo(0, within(1e-5f));
        }
    }

    @Test
    void startsThatCannotBeAreRefused() {
        try (Toy toy = Toy.linear("x", 7, 3, false).filled(DType.F32)) {
            assertThatThrownBy(() -> Peft.attach(toy, Lora.of(4, 4, "x").with("init_lora_weights", "pissa")))
                    .isInstanceOf(AdapterException.class)
                    .hasMessageContaining("takes at most rank 3 from 'x.weight' [3, 7], got 4");
            assertThatThrownBy(() -> Peft.attach(toy, Lora.of(3, 4, "x").with("init_lora_weights", "orthogonal")))
                    .hasMessageContaining("needs an even rank, got 3");
        }
    }

    @Test
    void aResidualStartIsFoundAgainWhenLoaded(@TempDir Path folder) {
        try (CausalLm model = Tiny.llama()) {
            float[] adapted;
            try (Peft peft = Peft.attach(model, Lora.of(3, 6, "q_proj", "down_proj").with("init_lora_weights", "pissa"))) {
                Tiny.train(model, peft, 3, 0.01);
                adapted = Tiny.logits(model);
                assertThat(peft.adapter(Peft.DEFAULT).saved()).hasSize(8)
                        .allSatisfy((key, _) -> assertThat(key).matches(".*lora_[AB]\\.weight"));
                peft.save(folder);
            }
            try (Peft _ = Peft.load(model, folder)) {
                assertThat(Tiny.logits(model)).isEqualTo(adapted);
            }
        }
    }

    // ---- dropout, bias, patterns ----

    @Test
    void dropoutActsInTrainingOnly() {
        try (Toy toy = Toy.linear("x", 50, 3, true).filled(DType.F32);
                var _ = Scope.open();
                Peft _ = Peft.attach(toy, Lora.of(4, 4, "x").with("init_lora_weights", false).with("lora_dropout", 0.5))) {
            Tensor x = Tensor.randn(DType.F32, Shape.of(2, 50), 1);
            float[] plain = toy.linear("x").forward(x).toFloats();
            float[][] trained = new float[3][];
            for (int i = 0; i < 3; i++) {
                try (Tape _ = Tape.training(i / 2)) {
                    trained[i] = toy.linear("x").forward(x).toFloats();
                }
            }
            assertThat(trained[0]).isNotEqualTo(plain).isEqualTo(trained[1]).isNotEqualTo(trained[2]);
            assertThat(toy.linear("x").forward(x).toFloats()).isEqualTo(plain);
        }
    }

    @Test
    void ranksAndScalesFollowThePatterns() {
        Lora lora = (Lora) Lora.of(8, 16, "q_proj").with("rank_pattern", Map.of("layers.0.self_attn.q_proj", 2)).with("alpha_pattern",
                Map.of(".*\\.1\\..*", 3));
        assertThat(lora.rank("model.layers.0.self_attn.q_proj")).isEqualTo(2);
        assertThat(lora.rank("model.layers.10.self_attn.q_proj")).isEqualTo(8);
        assertThat(lora.scale("model.layers.0.self_attn.q_proj")).isEqualTo(8);
        assertThat(lora.scale("model.layers.1.self_attn.q_proj")).isEqualTo(3 / 8.0);
        assertThat(((Lora) lora.with("use_rslora", true)).scale("model.layers.0.self_attn.q_proj")).isCloseTo(16 / Math.sqrt(2),
                within(1e-12));
    }

    @ParameterizedTest
    @ValueSource(strings = {"lora_only", "all"})
    void biasesAreTrainedAndSavedByTheirNamesInPeft(String bias, @TempDir Path folder) {
        try (CausalLm model = Tiny.llama()) {
            Map<String, List<float[]>> before = Tiny.bits(model);
            float[] base = Tiny.logits(model);
            float[] adapted;
            try (Peft peft = Peft.attach(model, Lora.of(2, 4, "q_proj").with("bias", bias))) {
                assertThat(Tiny.logits(model)).isEqualTo(base);
                assertThat(peft.adapter(Peft.DEFAULT).saved()).hasSize(bias.equals("all") ? 4 + 8 : 4 + 2)
                        .containsKey(KEY + "0.self_attn.q_proj.base_layer.bias");
                if (bias.equals("all")) assertThat(peft.adapter(Peft.DEFAULT).saved()).containsKey(KEY + "1.self_attn.v_proj.bias");
                Tiny.train(model, peft, 3, 0.01);
                adapted = Tiny.logits(model);
                String name = "model.layers.0.self_attn.q_proj.bias";
                assertThat(Tiny.bits(model).get(name)).usingRecursiveComparison().isNotEqualTo(before.get(name));
                peft.enabled(false);
                assertThat(Tiny.bits(model)).usingRecursiveComparison().isEqualTo(before);
                peft.save(folder);
            }
            assertThat(Tiny.bits(model)).usingRecursiveComparison().isEqualTo(before);
            try (Peft _ = Peft.load(model, folder)) {
                assertThat(Tiny.logits(model)).isEqualTo(adapted);
            }
        }
    }

    @Test
    void aTrainedBiasOfBIsScaledAndMerged() {
        try (Toy toy = Toy.linear("x", 3, 2, true).filled(DType.F32);
                var _ = Scope.open();
                Peft peft = Peft.attach(toy, Lora.of(1, 4, "x").with("lora_bias", true))) {
            Tensor x = Tensor.randn(DType.F32, Shape.of(1, 3), 1);
            float[] before = toy.linear("x").forward(x).toFloats();
            assertThat(peft.adapter(Peft.DEFAULT).saved()).containsKey("base_model.model.x.lora_B.bias");
            peft.parameters().getLast().value().assign(Tensor.of(new float[] {0.5f, -1}));
            float[] attached = toy.linear("x").forward(x).toFloats();
            GoldenTensors.check("bias", attached, new float[] {before[0] + 2, before[1] - 4}, 1e-6);
            peft.merge();
            GoldenTensors.check("merged", toy.linear("x").forward(x).toFloats(), attached, 1e-6);
        }
        try (Toy toy = Toy.linear("x", 3, 2, false).filled(DType.F32);
                Peft peft = Peft.attach(toy, Lora.of(1, 4, "x").with("lora_bias", true))) {
            float[] before = toy.linear("x").weight().value().toFloats();
            assertThatThrownBy(peft::merge).hasMessage("'x' cannot be merged: the adapter adds a bias and the layer has none");
            assertThat(toy.linear("x").weight().value().toFloats()).isEqualTo(before);
            assertThat(peft.isMerged()).isFalse();
        }
    }

    // ---- whole modules ----

    @Test
    void wholeModulesAreTrainedAndSavedByTheirPlainNames(@TempDir Path folder) {
        try (CausalLm model = Tiny.llama()) {
            Map<String, List<float[]>> before = Tiny.bits(model);
            float[] base = Tiny.logits(model);
            float[] adapted;
            try (Peft peft = Peft.attach(model, Lora.of(2, 4, "q_proj").with("modules_to_save", List.of("lm_head", "input_layernorm")))) {
                assertThat(Tiny.logits(model)).isEqualTo(base);
                assertThat(peft.adapter(Peft.DEFAULT).saved()).hasSize(4 + 3).containsKeys("base_model.model.lm_head.weight",
                        KEY + "1.input_layernorm.weight");
                double[] losses = Tiny.train(model, peft, 3, 0.01);
                assertThat(losses[2]).isLessThan(losses[0]);
                assertThat(Tiny.bits(model).get("lm_head.weight")).usingRecursiveComparison().isNotEqualTo(before.get("lm_head.weight"));
                adapted = Tiny.logits(model);
                assertThat(peft.counts().total()).isEqualTo(model.parameterCount() + peft.counts().trainable());
                peft.save(folder);
                peft.use();
                assertThat(Tiny.logits(model)).isEqualTo(base);
                peft.add("other", Lora.of(2, 4, "q_proj").with("modules_to_save", "lm_head"), 0);
                assertThatThrownBy(() -> peft.use("default", "other"))
                        .hasMessage("'default' and 'other' both replace 'lm_head.weight'; use one at a time");
                assertThatThrownBy(() -> peft.use(Map.of("other", 0.5)))
                        .hasMessageContaining("'other' replaces 'lm_head.weight', so it can only be used at weight 1");
                assertThat(peft.adapter("other").saved().get("base_model.model.lm_head.weight").value().toFloats())
                        .isEqualTo(before.get("lm_head.weight").getFirst());
            }
            assertThat(Tiny.bits(model)).usingRecursiveComparison().isEqualTo(before);
            try (Peft _ = Peft.load(model, folder)) {
                assertThat(Tiny.logits(model)).isEqualTo(adapted);
            }
            assertThatThrownBy(() -> Peft.attach(model, Lora.of(2, 4, "q_proj").with("modules_to_save", "classifier")))
                    .hasMessageContaining("no part of the model matches 'classifier' of modules_to_save; the model has [");
        }
    }

    /// A copy of a tied weight must not reach the other layer that uses it.
    @ParameterizedTest
    @ValueSource(strings = {"lm_head", "embed_tokens"})
    void aTiedWeightThatIsTrainedIsNoLongerTied(String module, @TempDir Path folder) {
        try (CausalLm model = Tiny.llama(Map.of("tie_word_embeddings", true))) {
            float[] base = Tiny.logits(model);
            float[] adapted;
            String key = module.equals("lm_head") ? "base_model.model.lm_head.weight" : "base_model.model.model.embed_tokens.weight";
            try (Peft peft = Peft.attach(model, Lora.of(2, 4, "q_proj").with("modules_to_save", module))) {
                assertThat(Tiny.logits(model)).isEqualTo(base);
                Parameter copy = peft.adapter(Peft.DEFAULT).saved().get(key);
                Tiny.train(model, peft, 3, 0.01);
                adapted = Tiny.logits(model);
                try (var _ = Scope.open()) {
                    float[] hidden = model.modules(Embedding.class).findFirst().orElseThrow().forward(Tensor.of(new int[] {3})).toFloats();
                    float[] row = (module.equals("lm_head") ? model.embedding().weight().value() : copy.value()).slice(0, 3, 4).toFloats();
                    assertThat(hidden).isEqualTo(row);
                    assertThat(copy.value().toFloats()).isNotEqualTo(model.embedding().weight().value().toFloats());
                }
                assertThatThrownBy(peft::merge).hasMessageContaining("the weight it trains is tied to another layer's");
                peft.save(folder);
            }
            assertThat(Tiny.logits(model)).isEqualTo(base);
            try (Peft _ = Peft.load(model, folder)) {
                assertThat(Tiny.logits(model)).isEqualTo(adapted);
            }
        }
    }

    // ---- embeddings and the head ----

    @Test
    void anEmbeddingIsAdaptedBelowItsTable(@TempDir Path folder) {
        try (CausalLm model = Tiny.llama()) {
            float[] base = Tiny.logits(model);
            try (Peft peft = Peft.attach(model, Lora.of(3, 6, "embed_tokens", "lm_head"))) {
                Graft graft = peft.adapter(Peft.DEFAULT);
                assertThat(graft.saved().get("base_model.model.model.embed_tokens.lora_embedding_A").shape()).isEqualTo(Shape.of(3, 29));
                assertThat(graft.saved().get("base_model.model.model.embed_tokens.lora_embedding_B").shape()).isEqualTo(Shape.of(20, 3));
                assertThat(Tiny.logits(model)).isEqualTo(base);
                Tiny.train(model, peft, 3, 0.01);
                float[] adapted = Tiny.logits(model);
                assertThat(adapted).isNotEqualTo(base);
                peft.merge();
                GoldenTensors.check("merged", Tiny.logits(model), adapted, 1e-5);
                peft.unmerge();
                peft.save(folder);
                peft.detach(Peft.DEFAULT);
                peft.add(Peft.DEFAULT, folder);
                assertThat(Tiny.logits(model)).isEqualTo(adapted);
            }
        }
    }

    /// `E[id] + s · B A[:, id]`.
    @Test
    void anEmbeddingsRowIsTheTablesPlusTheProducts() {
        try (Toy toy = Toy.of(Map.of("e", new Embedding(5, 2))).filled(DType.F32);
                var _ = Scope.open();
                Peft peft = Peft.attach(toy, Lora.of(1, 3, "e"))) {
            float[] table = toy.modules(Embedding.class).findFirst().orElseThrow().weight().value().toFloats();
            peft.parameters().get(0).value().assign(Tensor.of(new float[] {1, 2, 3, 4, 5}, 1, 5));
            peft.parameters().get(1).value().assign(Tensor.of(new float[] {0.1f, -0.2f}, 2, 1));
            float[] row = toy.modules(Embedding.class).findFirst().orElseThrow().forward(Tensor.of(new int[] {3})).toFloats();
            GoldenTensors.check("row", row, new float[] {table[6] + 3 * 4 * 0.1f, table[7] - 3 * 4 * 0.2f}, 1e-6);
        }
    }

    @Test
    void aTiedWeightIsNotMergedInto() {
        try (CausalLm model = Tiny.llama(Map.of("tie_word_embeddings", true));
                Peft peft = Peft.attach(model, Lora.of(3, 6, "embed_tokens", "lm_head"))) {
            Tiny.train(model, peft, 2, 0.01);
            assertThatThrownBy(peft::merge).hasMessageContaining("its weight is tied to another layer's, which would change with it");
        }
    }

    @Test
    void aTransposedFlagOfOtherProgramsChangesNothing() {
        try (Toy toy = Toy.linear("x", 4, 3, false).filled(DType.F32); var _ = Scope.open()) {
            Tensor x = Tensor.randn(DType.F32, Shape.of(2, 4), 1);
            Linear layer = toy.linear("x");
            float[] expected;
            try (Peft _ = Peft.attach(toy, Lora.of(2, 2, "x").with("init_lora_weights", false))) {
                expected = layer.forward(x).toFloats();
            }
            try (Peft _ = Peft.attach(toy, Lora.of(2, 2, "x").with("init_lora_weights", false).with("fan_in_fan_out", true))) {
                assertThat(layer.forward(x).toFloats()).isEqualTo(expected);
            }
        }
    }
}
