package dev.graft.peft;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.graft.models.CausalLm;
import dev.graft.models.Golden;
import dev.graft.models.GoldenTensors;
import dev.graft.models.LoadOptions;
import dev.graft.models.ModelLoader;
import dev.graft.nn.Layer;
import dev.graft.nn.Linear;
import dev.graft.nn.Parameter;
import dev.graft.nn.Weight;
import dev.graft.peft.method.Bottleneck;
import dev.graft.peft.method.Lora;
import dev.graft.tensor.Backends;
import dev.graft.tensor.DType;
import dev.graft.tensor.Scope;
import dev.graft.tensor.Tensor;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/// Adapters on a model: several, switched, weighted, merged, taken away.
class PeftTest {
    private static final Adapter LORA = Lora.of(2, 4, "q_proj", "down_proj").with("init_lora_weights", false);
    private static final Adapter SERIES = Bottleneck.AFTER_MLP.with("bottleneck_size", 3);
    private static final Adapter BEFORE = Bottleneck.DEFAULT.with("bottleneck_size", 3).with("target_modules",
            List.of("gate_proj", "up_proj"));

    private CausalLm model;
    private float[] base;

    @BeforeEach
    void open() {
        model = Tiny.llama();
        base = Tiny.logits(model);
    }

    @AfterEach
    void close() {
        model.close();
    }

    private float[] logits() {
        return Tiny.logits(model);
    }

    @Test
    void theFirstAdapterIsUsedAtOnceAndOthersWhenAsked() {
        try (Peft peft = Peft.of(model)) {
            peft.add("one", LORA, 1);
            float[] one = logits();
            assertThat(one).isNotEqualTo(base);
            peft.add("two", SERIES, 2);
            assertThat(logits()).isEqualTo(one);
            peft.use("two");
            float[] two = logits();
            assertThat(two).isNotEqualTo(one).isNotEqualTo(base);
            peft.use("one", "two");
            assertThat(logits()).isNotEqualTo(one).isNotEqualTo(two);
            peft.use("one");
            assertThat(logits()).isEqualTo(one);
            peft.use();
            assertThat(logits()).isEqualTo(base);
            assertThatThrownBy(() -> peft.use("three")).isInstanceOf(AdapterException.class)
                    .hasMessage("no adapter 'three'; there are [one, two]");
            assertThatThrownBy(() -> peft.add("two", LORA, 1)).hasMessageContaining("there is an adapter 'two' already");
        }
    }

    @Test
    void onlyAdaptersInUseAndNotFrozenAreTrained() {
        try (Peft peft = Peft.of(model)) {
            Graft one = peft.add("one", LORA, 1);
            Graft two = peft.add("two", SERIES, 2);
            assertThat(peft.parameters()).isEqualTo(one.parameters());
            peft.use("one", "two");
            peft.frozen("one", true);
            assertThat(peft.parameters()).isEqualTo(two.parameters());
            float[] before = one.parameters().getFirst().value().toFloats();
            Tiny.train(model, peft, 2, 0.01);
            assertThat(one.parameters().getFirst().value().toFloats()).isEqualTo(before);
            assertThat(peft.counts()).isEqualTo(new Counts(two.count(), model.parameterCount() + one.count() + two.count()));
            assertThat(one.parameters().getFirst().name()).isEqualTo("one.model.layers.0.self_attn.q_proj.lora_A.weight");
            assertThat(one.saved()).containsKey("base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight");
        }
    }

    @Test
    void switchedOffTheModelIsWhatItWas() {
        try (Peft peft = Peft.attach(model, LORA)) {
            float[] adapted = logits();
            peft.enabled(false);
            assertThat(logits()).isEqualTo(base);
            assertThat(model.modules(Layer.class)).noneMatch(Layer::isSurrounded);
            peft.enabled(true);
            assertThat(logits()).isEqualTo(adapted);
        }
    }

    /// For an adapter that adds, a weight is a factor: LoRA at weight ½ is LoRA with half of α.
    @Test
    void aWeightMultipliesWhatIsAdded() {
        float[] expected;
        try (Peft _ = Peft.attach(model, LORA.with("lora_alpha", 2), 5)) {
            expected = logits();
        }
        try (Peft peft = Peft.attach(model, LORA, 5)) {
            peft.use(Map.of(Peft.DEFAULT, 0.5));
            GoldenTensors.check("weighted", logits(), expected, 1e-5);
        }
    }

    /// For any other, it goes from the layer's output without the adapter to that with it.
    @Test
    void aWeightGoesThatShareOfTheWay() {
        try (Toy toy = Toy.linear("gate_proj", 4, 3, true).filled(DType.F32);
                Peft peft = Peft.attach(toy, Bottleneck.DEFAULT.with("bottleneck_size", 2).with(
                        "target_modules", "gate_proj"));
                var _ = Scope.open()) {
            Linear layer = toy.linear("gate_proj");
            Tensor x = Tensor.randn(DType.F32, dev.graft.tensor.Shape.of(5, 4), 1);
            float[] full = layer.forward(x).toFloats();
            peft.use();
            float[] none = layer.forward(x).toFloats();
            peft.use(Map.of(Peft.DEFAULT, 0.3));
            float[] part = layer.forward(x).toFloats();
            for (int i = 0; i < part.length; i++)
                assertThat(part[i]).isCloseTo(none[i] + 0.3f * (full[i] - none[i]), org.assertj.core.api.Assertions.within(1e-5f));
        }
    }

    @Test
    void severalWeightedAdaptersMergeToWhatTheyComputeTogether() {
        try (Peft peft = Peft.of(model)) {
            peft.add("one", LORA, 1);
            peft.add("two", Lora.of(3, 2, "q_proj", "v_proj").with("init_lora_weights", false), 2);
            peft.use(Map.of("one", 0.7, "two", -0.4));
            float[] together = logits();
            MergeReport report = peft.merge();
            GoldenTensors.check("merged", logits(), together, 1e-4);
            assertThat(report.changes().stream().map(MergeReport.Change::parameter)).hasSize(6).contains(
                    "model.layers.1.mlp.down_proj.weight",
                    "model.layers.0.self_attn.v_proj.weight");
            assertThat(report.largest()).isGreaterThan(0.01)
                    .isEqualTo(report.changes().stream().mapToDouble(MergeReport.Change::largest).max().orElseThrow());
            assertThat(report.rounding()).isZero();
            assertThat(report).asString().contains("merged into 6 tensors; largest change of a weight");
            assertThatThrownBy(() -> peft.use("one")).hasMessageContaining("merged into the weights; unmerge() before you switch adapters");
            assertThatThrownBy(peft::merge).hasMessageContaining("unmerge() before you merge again");
            assertThatThrownBy(() -> peft.detach("one")).hasMessageContaining("unmerge()");
            peft.unmerge();
            assertThat(logits()).isEqualTo(together);
        }
        assertThat(logits()).isEqualTo(base);
    }

    @Test
    void mergingIsRefusedBeforeAnythingChanges() {
        try (Peft peft = Peft.of(model)) {
            peft.add("lora", LORA, 1);
            peft.add("series", SERIES, 2);
            peft.use("lora", "series");
            float[] both = logits();
            Map<String, List<float[]>> bits = Tiny.bits(model);
            assertThatThrownBy(peft::merge).isInstanceOf(AdapterException.class).hasMessage(
                    "'series' on 'model.layers.0.mlp.down_proj' cannot be merged: tanh stands between the adapter's two matrices, so no plain layer computes the same");
            assertThat(Tiny.bits(model)).usingRecursiveComparison().isEqualTo(bits);
            assertThat(logits()).isEqualTo(both);
        }
    }

    @Test
    void aHalfPrecisionBaseMergesIntoItsOwnTypeAndTheReportSaysHowFarThatRounds() {
        try (CausalLm half = Tiny.half(); Peft peft = Peft.attach(half, LORA, 1)) {
            float[] attached = Tiny.logits(half);
            Map<String, List<float[]>> bits = Tiny.bits(half);
            MergeReport report = peft.merge();
            assertThat(half.modules(Linear.class)).allMatch(l -> l.weight().value().dtype() == DType.BF16);
            assertThat(report.rounding()).isPositive().isLessThan(0.02);
            GoldenTensors.check("merged", Tiny.logits(half), attached, 0.1);
            peft.unmerge();
            assertThat(Tiny.bits(half)).usingRecursiveComparison().isEqualTo(bits);
        }
    }

    @Test
    void aQuantisedBaseIsMergedOnlyOnRequest() {
        mergesOnlyOnRequest(Weight.Q8::of, "q8", 0.1);
        mergesOnlyOnRequest(Weight.Nf4::of, "nf4", 0.5);
        mergesOnlyOnRequest(w -> Weight.Nf4.of(w, false), "nf4", 0.5);
    }

    private static void mergesOnlyOnRequest(Function<Tensor, Weight> form, String name, double most) {
        try (CausalLm model = Tiny.quantised(Tiny.llama(), form); Peft peft = Peft.attach(model, LORA, 1)) {
            float[] attached = Tiny.logits(model);
            Map<String, List<float[]>> bits = Tiny.bits(model);
            List<Long> tensors = model.parameters().map(p -> p.weight().tensors().count()).toList();
            assertThatThrownBy(peft::merge)
                    .hasMessageContaining("'model.layers.0.self_attn.q_proj' cannot be merged: its weight is stored as " + name)
                    .hasMessageContaining("DEQUANTISE or REQUANTISE");
            assertThat(peft.merge(Merge.DEQUANTISE).rounding()).isZero();
            GoldenTensors.check("dequantised", Tiny.logits(model), attached, 1e-4);
            peft.unmerge();
            MergeReport report = peft.merge(Merge.REQUANTISE);
            assertThat(model.modules(Linear.class).map(l -> l.weight().weight().format())).containsOnly(name);
            assertThat(model.parameters().map(p -> p.weight().tensors().count()).toList())
                    .as("scales are quantised where they were").isEqualTo(tensors);
            assertThat(report.rounding()).isPositive().isLessThan(most);
            peft.unmerge();
            assertThat(Tiny.bits(model)).usingRecursiveComparison().isEqualTo(bits);
            assertThat(Tiny.logits(model)).isEqualTo(attached);
        }
    }

    /// The weights of a loaded model are the file itself, mapped.
    @Test
    void mergingDoesNotWriteTheFileItsWeightsAreReadFrom() throws Exception {
        Path folder = Golden.path("models/llama-mha");
        byte[] before = hash(folder.resolve("model.safetensors"));
        try (CausalLm mapped = ModelLoader.load(folder, LoadOptions.DEFAULT);
                Peft peft = Peft.attach(mapped, Lora.of(2, 4, "q_proj").with("init_lora_weights", false))) {
            peft.merge();
            peft.unmerge();
            peft.mergeAndClose(Merge.EXACT);
        }
        assertThat(hash(folder.resolve("model.safetensors"))).isEqualTo(before);
    }

    @Test
    void mergedForGoodTheModelNeedsNoAdapter() {
        try (Peft peft = Peft.attach(model, LORA.with("modules_to_save", "norm").with("bias", "all"), 1)) {
            Tiny.train(model, peft, 3, 0.01);
            float[] adapted = logits();
            peft.mergeAndClose(Merge.EXACT);
            assertThat(model.modules(Layer.class)).noneMatch(Layer::isSurrounded);
            GoldenTensors.check("merged", logits(), adapted, 1e-4);
            assertThatThrownBy(() -> peft.add("x", LORA, 1)).hasMessage("this Peft is closed");
        }
    }

    @Test
    void closingGivesTheModelBackAsItWas() {
        model.parameters().forEach(p -> p.trainable(true));
        try (Peft peft = Peft.attach(model, LORA.with("modules_to_save", "lm_head"), 1)) {
            assertThat(model.parameters()).noneMatch(Parameter::isTrainable);
            Tiny.train(model, peft, 2, 0.01);
            peft.merge();
        }
        assertThat(model.parameters()).allMatch(Parameter::isTrainable);
        assertThat(logits()).isEqualTo(base);
    }

    @Test
    void closingFreesTheAdaptersMemory() {
        long before = Backends.best().memory().live();
        for (int i = 0; i < 3; i++) {
            try (Peft peft = Peft.attach(model, LORA.with("modules_to_save", List.of("lm_head", "norm")).with("bias", "lora_only"), 1)) {
                peft.add("two", SERIES, 1);
                peft.use("default", "two");
                Tiny.train(model, peft, 1, 0.01);
                peft.detach("two");
                assertThat(Backends.best().memory().live()).isGreaterThan(before);
                peft.merge();
                peft.unmerge();
            }
            assertThat(Backends.best().memory().live()).isEqualTo(before);
        }
    }

    @Test
    void anAdapterThatDoesNotFitLeavesTheModelAlone() {
        model.parameters().forEach(p -> p.trainable(true));
        assertThatThrownBy(() -> Peft.attach(model, Lora.of(2, 2, "nowhere"))).isInstanceOf(AdapterException.class);
        assertThat(model.parameters()).allMatch(Parameter::isTrainable);
        assertThat(model.modules(Layer.class)).noneMatch(Layer::isSurrounded);
    }

    @Test
    void theModelMayBeClosedFirst() {
        CausalLm other = Tiny.llama();
        Peft peft = Peft.attach(other, LORA.with("modules_to_save", "norm"), 1);
        peft.merge();
        other.close();
        peft.close();
        assertThat(peft.adapters()).isEmpty();
    }

    private static byte[] hash(Path file) throws Exception {
        return java.security.MessageDigest.getInstance("SHA-256").digest(Files.readAllBytes(file));
    }
}
