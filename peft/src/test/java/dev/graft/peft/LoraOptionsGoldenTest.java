package dev.graft.peft;

import static org.assertj.core.api.Assertions.assertThat;

import dev.graft.models.CausalLm;
import dev.graft.models.GoldenTensors;
import dev.graft.models.ModelLoader;
import dev.graft.models.io.Checkpoint;
import dev.graft.models.io.Json;
import dev.graft.tensor.Grads;
import dev.graft.tensor.Scope;
import dev.graft.tensor.Tape;
import dev.graft.tensor.Tensor;
import dev.graft.tensor.op.CrossEntropy;
import java.net.URISyntaxException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// Options of LoRA against what PEFT computes with them, as `docs/golden/lora_options.py` wrote it.
class LoraOptionsGoldenTest {
    static Path folder(String name) {
        try {
            return Path.of(LoraOptionsGoldenTest.class.getResource("/lora-options/" + name + "/").toURI());
        } catch (URISyntaxException e) {
            throw new AssertionError(e);
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"lora-bias", "bias-all", "modules-to-save", "embedding", "pissa", "olora", "all-linear", "regex", "layers",
            "patterns", "tied-head",
            "tied-embedding", "tied-adapted"})
    void logitsLossGradientsAndWhatIsSavedAgree(String name, @TempDir Path saved) {
        try (GoldenTensors golden = GoldenTensors.of(folder(name));
                CausalLm model = ModelLoader.load(folder(name.startsWith("tied") ? "tied" : "base"));
                Peft peft = Peft.load(model, folder(name));
                var _ = Scope.open()) {
            try (Tape tape = Tape.open()) {
                Tensor logits = model.logits(golden.inputs(""));
                golden.check("logits", visible(logits.toFloats(), golden.ints("attention_mask")));
                Tensor loss = loss(logits, golden.ints("labels"));
                golden.check("loss", loss.reshape(1).toFloats());
                try (Grads grads = tape.backward(loss)) {
                    peft.adapter(Peft.DEFAULT).saved().forEach((key, p) -> golden.check("grad." + key, grads.of(p).toFloats()));
                }
            }
            assertThat(peft.adapter(Peft.DEFAULT).saved().keySet()).isEqualTo(golden.names().stream().filter(n -> n.startsWith("grad."))
                    .map(n -> n.substring("grad.".length())).collect(Collectors.toSet()));
            peft.save(saved);
            sameTensors(folder(name), saved);
            Map<String, Object> theirs = Json.read(folder(name).resolve("adapter_config.json")).toMap();
            assertThat(sorted(theirs)).containsAllEntriesOf(sorted(Json.read(saved.resolve("adapter_config.json")).toMap()));
        }
    }

    /// All that PEFT saved is saved, but for the weights of an adapted embedding or output layer, which are the base's.
    private static void sameTensors(Path theirs, Path ours) {
        try (Checkpoint a = Checkpoint.openAdapter(theirs); Checkpoint b = Checkpoint.openAdapter(ours)) {
            Set<String> expected = new TreeSet<>(a.entries().keySet());
            expected.removeIf(key -> key.endsWith(".base_layer.weight"));
            assertThat(b.entries().keySet()).isEqualTo(expected);
            for (String key : expected) assertThat(b.require(key).bytes().mismatch(a.require(key).bytes())).as(key).isEqualTo(-1);
        }
    }

    /// PEFT writes sets in no order.
    private static Map<String, Object> sorted(Map<String, Object> config) {
        config.replaceAll((_, v) -> v instanceof java.util.List<?> list ? new TreeSet<>(list) : v);
        return config;
    }

    static Tensor loss(Tensor logits, int[][] labels) {
        int t = logits.dim(1) - 1;
        int[] next = Arrays.stream(labels).flatMapToInt(row -> Arrays.stream(row, 1, t + 1)).toArray();
        Tensor rows = new CrossEntropy(-100).apply(logits.slice(1, 0, t).reshape(-1, logits.dim(2)), Tensor.of(next));
        return rows.sum().div(Arrays.stream(next).filter(l -> l != -100).count());
    }

    private static float[] visible(float[] logits, int[][] mask) {
        int[] flat = Arrays.stream(mask).flatMapToInt(Arrays::stream).toArray();
        int width = logits.length / flat.length;
        for (int i = 0; i < logits.length; i++) if (flat[i / width] == 0) logits[i] = 0;
        return logits;
    }
}
