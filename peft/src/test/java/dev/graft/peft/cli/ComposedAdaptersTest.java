package dev.graft.peft.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.graft.models.CausalLm;
import dev.graft.models.GoldenTensors;
import dev.graft.models.Inputs;
import dev.graft.models.ModelLoader;
import dev.graft.models.io.Json;
import dev.graft.models.io.JsonObject;
import dev.graft.models.io.Safetensors;
import dev.graft.models.io.TensorSource;
import dev.graft.peft.Peft;
import dev.graft.tensor.DType;
import dev.graft.tensor.Scope;
import dev.graft.tensor.Shape;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import java.util.stream.LongStream;
import org.assertj.core.api.InstanceOfAssertFactories;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// Several adapters on the command line, and `tune --fuse`: what the library computes with the same ones.
class ComposedAdaptersTest extends CommandTest {
    private static final int[] TEXT = {1, 5, 9, 200, 33, 7};

    @TempDir
    static Path shared;
    private static Path model;
    private static Path data;
    private static Path lora;
    private static Path series;

    @TempDir
    Path folder;

    @BeforeAll
    static void makeAdapters() throws IOException {
        model = TinyModel.model(shared.resolve("model"));
        data = TinyModel.records(shared.resolve("records.jsonl"));
        lora = trained("lora", "--method", "lora", "--r", 4, "--target-modules", "o_proj,down_proj");
        trained("again", "--method", "lora", "--r", 4, "--target-modules", "o_proj,down_proj", "--seed", 7);
        series = trained("series", "--method", "houlsby", "--target-modules", "o_proj,down_proj", "--reduction-factor", 4);
    }

    private static Path trained(String name, Object... method) {
        Path to = shared.resolve(name);
        List<Object> all = new ArrayList<>(List.of("tune", "--model", model, "--data", data, "--output", to, "--template", "short",
                "--cutoff-len", 128, "--steps", 3, "--batch-size", 4, "--learning-rate", 0.02));
        all.addAll(List.of(method));
        prepare(all.toArray());
        return to;
    }

    private static void copy(Path from, Path to) throws IOException {
        Files.createDirectories(to);
        for (String name : List.of("adapter_config.json", "adapter_model.safetensors"))
            Files.copy(from.resolve(name), to.resolve(name), StandardCopyOption.REPLACE_EXISTING);
    }

    private String refusal(Path... adapters) {
        List<Object> all = new ArrayList<>(List.of("generate", "--model", model, "--max-new-tokens", 1, "A"));
        for (Path adapter : adapters) all.addAll(List.of("--adapter", adapter));
        graft(all.toArray());
        return err.toString();
    }

    private float[] asked(Object... adapters) throws IOException {
        return numbers(List.of(), adapters).get("logits");
    }

    private Map<String, float[]> gradients(Object... adapters) throws IOException {
        Map<String, float[]> all = numbers(List.of("--grads"), adapters);
        all.keySet().removeIf(name -> !name.startsWith("grad."));
        return all;
    }

    private Map<String, float[]> numbers(List<Object> options, Object... adapters) throws IOException {
        long[] ids = Arrays.stream(TEXT).asLongStream().toArray(), mask = LongStream.generate(() -> 1).limit(6).toArray();
        Path input = folder.resolve("in.safetensors"), output = Files.createDirectories(folder.resolve("found")).resolve("io.safetensors");
        Safetensors.write(input, List.of(TensorSource.of("input_ids", DType.I64, Shape.of(1, 6), MemorySegment.ofArray(ids)),
                TensorSource.of("labels", DType.I64, Shape.of(1, 6), MemorySegment.ofArray(ids)),
                TensorSource.of("attention_mask", DType.I64, Shape.of(1, 6), MemorySegment.ofArray(mask))));
        List<Object> all = new ArrayList<>(List.of("logits", "--model", model, "--input", input, "--output", output));
        for (Object adapter : adapters) all.addAll(List.of("--adapter", adapter));
        all.addAll(options);
        assertThat(graft(all.toArray())).as(err.toString()).isZero();
        try (GoldenTensors found = GoldenTensors.of(output.getParent())) {
            Map<String, float[]> numbers = new LinkedHashMap<>();
            found.names().forEach(name -> numbers.put(name, found.floats(name)));
            return numbers;
        } finally {
            Files.delete(input);
            Files.delete(output);
        }
    }

    private static float[] computed(Consumer<Peft> adapted) {
        try (var _ = Scope.open(); CausalLm lm = ModelLoader.load(model); Peft peft = Peft.of(lm)) {
            adapted.accept(peft);
            return lm.logits(Inputs.of(new int[][] {TEXT})).toFloats();
        }
    }

    @Test
    void severalActTogetherAtTheirWeightsInTheirOrder() throws IOException {
        assertThat(asked(lora, series + "@0.5")).isEqualTo(computed(peft -> {
            peft.add("lora", lora);
            peft.add("series", series);
            peft.use(Map.of("lora", 1.0, "series", 0.5));
        }));
        assertThat(asked(series, lora)).isEqualTo(computed(peft -> {
            peft.add("lora", lora);
            peft.add("series", series);
            peft.stack("series", "lora");
        })).isNotEqualTo(asked(lora, series));
        assertThat(asked(lora + "@0")).isEqualTo(asked());
        assertThat(asked(lora)).isNotEqualTo(asked());
    }

    @Test
    void aFusionIsTrainedKeptWithItsPartsAndUsedAlone() throws IOException {
        Path fusion = folder.resolve("fusion");
        assertThat(graft("tune", "--model", model, "--data", data, "--output", fusion, "--template", "short", "--cutoff-len", 128,
                "--steps", 3,
                "--batch-size", 4, "--fuse", lora + "," + series)).as(err.toString()).isZero();
        assertThat(Json.read(fusion.resolve("adapter_config.json")).toMap()).containsEntry("peft_type", "ADAPTER_FUSION")
                .containsEntry("adapters", List.of("lora", "series"));
        for (String part : List.of("lora", "series"))
            assertThat(Files.readAllBytes(fusion.resolve(part).resolve("adapter_model.safetensors")))
                    .isEqualTo(Files.readAllBytes(shared.resolve(part).resolve("adapter_model.safetensors")));
        assertThat(refusal(lora, fusion)).isEmpty();
        Path other = folder.resolve("other/lora");
        copy(shared.resolve("lora"), other);
        copy(shared.resolve("again"), other);
        assertThat(refusal(other, fusion)).contains("another adapter of that name is attached");
        assertThat(gradients(fusion)).hasSizeGreaterThan(10)
                .allSatisfy((name, g) -> assertThat(g).as(name).isNotEqualTo(new float[g.length]));
        float[] used = asked(fusion);
        assertThat(used).isNotEqualTo(asked()).isEqualTo(computed(peft -> {
            peft.add("lora", lora);
            peft.add("series", series);
            peft.add("both", fusion);
            peft.use("both");
        }));
        Path results = folder.resolve("results");
        assertThat(graft("eval", "--model", model, "--adapter", fusion, "--data", data, "--kind", "numeric", "--limit", 2,
                "--max-new-tokens", 2,
                "--beams", 1, "--output", results)).as(err.toString()).isZero();
        JsonObject adapter = Json.read(results.resolve("records.summary.json")).requireObject("adapter");
        assertThat(adapter.requireString("peft_type")).isEqualTo("ADAPTER_FUSION");
        assertThat(adapter.toMap().get("parts")).asInstanceOf(InstanceOfAssertFactories.LIST).hasSize(2);
    }

    @Test
    void whatDoesNotGoTogetherIsTold() {
        Object[] tune = {"tune", "--model", model, "--data", data, "--output", folder.resolve("x")};
        refused(tune, "--fuse", lora, "two or more adapters");
        refused(tune, "--fuse", lora + "," + series + "@0.5", "none with a weight");
        refused(tune, "--adapter", lora + "@0.5", "one and without a weight");
        refused(tune, "--adapter", lora + "@half", "'half' behind its @ is no weight");
        assertThat(graft("logits", "--model", model, "--input", "x", "--output", "y", "--adapter", lora, "--adapter", lora)).isEqualTo(1);
        assertThat(err.toString()).contains("two adapters are called 'lora'");
    }

    private void refused(Object[] command, String option, Object value, String reason) {
        List<Object> all = new ArrayList<>(List.of(command));
        all.addAll(List.of(option, value));
        assertThat(graft(all.toArray())).isEqualTo(2);
        assertThat(err.toString()).contains(reason);
    }
}
