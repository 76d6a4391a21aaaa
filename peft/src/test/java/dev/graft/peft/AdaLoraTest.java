package dev.graft.peft;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.graft.models.CausalLm;
import dev.graft.models.GoldenTensors;
import dev.graft.models.ModelLoader;
import dev.graft.models.io.Checkpoint;
import dev.graft.models.io.Entry;
import dev.graft.models.io.Json;
import dev.graft.optim.AdamW;
import dev.graft.peft.method.AdaLora;
import dev.graft.peft.train.CausalLoss;
import dev.graft.peft.train.Example;
import dev.graft.peft.train.Step;
import dev.graft.peft.train.StepReport;
import dev.graft.peft.train.TrainConfig;
import dev.graft.peft.train.TrainListener;
import dev.graft.peft.train.Trainer;
import dev.graft.tensor.DType;
import dev.graft.tensor.Grads;
import dev.graft.tensor.Scope;
import dev.graft.tensor.Tape;
import dev.graft.tensor.Tensor;
import java.lang.foreign.MemorySegment;
import java.net.URISyntaxException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// AdaLoRA's penalty, budget and files, against what PEFT does in twelve steps, as `docs/golden/adalora.py` wrote it.
class AdaLoraTest {
    /// The scores of two triplets may be closer than rounding; these are not.
    private static final double TRAINED = 1e-3;

    @TempDir
    Path folder;

    private static Path golden(String name) {
        try {
            return Path.of(AdaLoraTest.class.getResource("/adalora/" + name).toURI());
        } catch (URISyntaxException e) {
            throw new AssertionError(e);
        }
    }

    private static Adapter small() {
        return AdaLora.DEFAULT.with("target_r", 2).with("init_r", 4);
    }

    @Test
    void twelveStepsLossesCutsAndFileAgree() {
        try (GoldenTensors golden = GoldenTensors.of(golden(""));
                CausalLm model = ModelLoader.load(LoraOptionsGoldenTest.folder("base"));
                Peft peft = Peft.load(model, golden("start"));
                var _ = Scope.open();
                AdamW optimizer = new AdamW(peft.parameters(), AdamW.Config.DEFAULT.withWeightDecay(0.01))) {
            peft.begin(12);
            float[] losses = golden.floats("losses");
            int[][] left = golden.ints("left");
            for (int step = 1; step <= 12; step++) {
                try (Tape tape = Tape.open()) {
                    Tensor loss = LoraOptionsGoldenTest.loss(model.logits(golden.inputs("")), golden.ints("labels")).add(peft.penalty());
                    assertThat(loss.item()).as("loss %d", step).isCloseTo(losses[step - 1], within(TRAINED * losses[step - 1]));
                    try (Grads grads = tape.backward(loss)) {
                        optimizer.step(grads, 2e-2);
                        peft.after(new Step(step, 12, grads));
                    }
                }
                assertThat(notZero(peft)).as("step %d", step).containsExactly(left[step - 1]);
                // 5 a layer, from step 2 to step 10 down to 2 a layer: 12 + 18 (1 − (t − 2)/8)³
                int budget = step % 2 == 1 && step < 12 || step == 2 ? 30 : Map.of(4, 19, 6, 14, 8, 12, 10, 12, 12, 12).get(step);
                assertThat(Arrays.stream(notZero(peft)).sum()).isEqualTo(step == 11 ? 12 : budget);
            }
            GoldenTensors.check("logits", logits(model, golden), golden.floats("logits"), TRAINED);
            peft.save(folder);
        }
        assertThat(Json.read(folder.resolve("adapter_config.json")).toMap())
                .containsEntry("rank_pattern", Json.read(golden("end").resolve("adapter_config.json")).toMap().get("rank_pattern"))
                .containsEntry("total_step", 12).containsKey("deltaT");
        try (Checkpoint ours = Checkpoint.openAdapter(folder); Checkpoint theirs = Checkpoint.openAdapter(golden("end"))) {
            assertThat(ours.entries().keySet()).isEqualTo(theirs.entries().keySet());
            theirs.entries().forEach((key, entry) -> GoldenTensors.check(key, floats(ours.require(key)), floats(entry), TRAINED));
        }
    }

    private static int[] notZero(Peft peft) {
        return peft.adapter(Peft.DEFAULT).saved().entrySet().stream().filter(e -> e.getKey().endsWith("lora_E"))
                .flatMapToInt(e -> {
                    float[] values = e.getValue().value().toFloats();
                    return java.util.stream.IntStream.range(0, values.length).map(i -> values[i] == 0 ? 0 : 1);
                }).toArray();
    }

    private static float[] floats(Entry entry) {
        float[] values = new float[(int) entry.shape().size()];
        entry.read(DType.F32, MemorySegment.ofArray(values));
        return values;
    }

    private static float[] logits(CausalLm model, GoldenTensors golden) {
        float[] logits = model.logits(golden.inputs("")).toFloats();
        int[] mask = Arrays.stream(golden.ints("attention_mask")).flatMapToInt(Arrays::stream).toArray();
        int width = logits.length / mask.length;
        for (int i = 0; i < logits.length; i++) if (mask[i / width] == 0) logits[i] = 0;
        return logits;
    }

    /// One layer of it has no triplet left.
    @Test
    void aPrunedFileComputesWhatItDidAndTrainsOn() {
        try (GoldenTensors golden = GoldenTensors.of(golden(""));
                CausalLm model = ModelLoader.load(LoraOptionsGoldenTest.folder("base"));
                Peft peft = Peft.load(model, golden("end"));
                var _ = Scope.open()) {
            GoldenTensors.check("logits", logits(model, golden), golden.floats("logits"), 1e-4);
            assertThat(peft.counts().trainable()).isEqualTo(2 * (24 + 16 + 1) + 3 * (24 + 16 + 1) + 3 * (16 + 16 + 1) + 4 * (16 + 8 + 1));
            double[] losses = train(model, peft, config(6), folder.resolve("on"), -1);
            assertThat(losses[5]).isLessThan(losses[0]);
            peft.save(folder);
            float[] trained = logits(model, golden);
            peft.merge();
            assertThat(logits(model, golden)).containsExactly(trained, within(1e-3f));
            peft.unmerge();
            peft.detach(Peft.DEFAULT);
            peft.add("again", folder);
            assertThat(logits(model, golden)).isEqualTo(trained);
        }
    }

    private static TrainConfig config(int steps) {
        return TrainConfig.with(c -> c.steps(steps).batchSize(4).microBatchSize(2).learningRate(0.02).evaluateEvery(2).saveEvery(3)
                .loadBest(false));
    }

    private static double[] train(CausalLm model, Peft peft, TrainConfig config, Path into, long stopAfter) {
        List<Example> texts = Arrays.stream(Tiny.IDS).map(ids -> new Example(ids, ids)).toList();
        List<Double> losses = new ArrayList<>();
        Trainer trainer = new Trainer(config, new CausalLoss(model), peft).saving(peft::save, into);
        trainer.listener(new TrainListener() {
            @Override
            public void onStep(StepReport report) {
                losses.add(report.loss());
                if (report.step() == stopAfter) trainer.stop();
            }
        });
        trainer.resume(texts, texts.subList(0, 2));
        return losses.stream().mapToDouble(Double::doubleValue).toArray();
    }

    @Test
    void aResumedRunEndsWithTheSameBytes() {
        for (long stop : new long[] {0, 1, 4, 9, 11, 12}) {
            for (long stopAfter : stop == 0 ? new long[] {-1} : new long[] {stop, -1}) {
                try (var _ = Scope.open(); CausalLm model = Tiny.llama(); Peft peft = Peft.attach(model, small().with("tfinal", 2), 3)) {
                    train(model, peft, config(12), folder.resolve("run" + stop), stopAfter);
                }
            }
            for (String file : List.of("adapter_config.json", "adapter_model.safetensors")) {
                assertThat(folder.resolve("run" + stop).resolve(file)).hasSameBinaryContentAs(folder.resolve("run0").resolve(file));
            }
        }
        assertThat(Json.read(folder.resolve("run0/adapter_config.json")).toMap()).containsKey("rank_pattern").containsEntry("total_step",
                12);
    }

    @Test
    void theBudgetIsThatOfTheRunUnlessTheConfigSaysOtherwise() {
        try (CausalLm model = Tiny.llama(); Peft peft = Peft.attach(model, small())) {
            peft.begin(7);
            assertThat(peft.adapter(Peft.DEFAULT).adapter().fields()).containsEntry("total_step", 7);
        }
        try (CausalLm model = Tiny.llama(); Peft peft = Peft.attach(model, small().with("total_step", 20))) {
            assertThatThrownBy(() -> peft.begin(19)).hasMessage(
                    "total_step is 20, and a run of 19 steps ends before its schedule does; give total_step 0 or at most 19");
        }
        try (CausalLm model = Tiny.llama(); Peft peft = Peft.attach(model, small().with("tinit", 3).with("tfinal", 4))) {
            assertThatThrownBy(() -> peft.begin(7)).hasMessageStartingWith("of 7 steps, tinit 3 and tfinal 4 leave none to cut ranks in");
            peft.begin(8);
        }
    }

    @Test
    void beforeTrainingEverythingIsSaved() throws Exception {
        try (CausalLm model = Tiny.llama(); Peft peft = Peft.attach(model, small())) {
            peft.save(folder);
            assertThat(Files.readString(folder.resolve("adapter_config.json"))).doesNotContain("rank_pattern");
            try (Checkpoint file = Checkpoint.openAdapter(folder)) {
                assertThat(file.entries()).hasSize(12);
                assertThat(file.require("base_model.model.model.layers.1.self_attn.v_proj.lora_E").shape().dims()).containsExactly(4, 1);
            }
        }
    }

    @Test
    void mistakesAreNamed() {
        try (CausalLm model = Tiny.llama()) {
            assertThatThrownBy(() -> Peft.attach(model, AdaLora.DEFAULT.with("target_r", 13)))
                    .hasMessage("target_r must be at most init_r, which is 12, got 13");
            assertThatThrownBy(() -> AdaLora.DEFAULT.with("deltaT", 0)).hasMessage("deltaT must be at least 1, got 0");
            Adapter pruned = small().with("rank_pattern", Map.of("model.layers.0.self_attn.q_proj.lora_E", List.of(true, false)));
            assertThatThrownBy(() -> Peft.attach(model, pruned))
                    .hasMessage("rank_pattern has 2 entries for 'model.layers.0.self_attn.q_proj'; init_r is 4");
            assertThatThrownBy(() -> small().with("rank_pattern", Map.of("q_proj", 4)))
                    .hasMessageContaining("must give a list of true and false for each <layer>.lora_E, got 4");
        }
    }
}
