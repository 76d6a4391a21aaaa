package dev.graft.peft.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.graft.models.Golden;
import dev.graft.models.GoldenTensors;
import dev.graft.models.io.Safetensors;
import dev.graft.models.io.TensorSource;
import dev.graft.tensor.DType;
import dev.graft.tensor.Shape;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.io.TempDir;

/// `logits`: on the command line, every golden folder gives the numbers that the published implementations give.
class LogitsTest extends CommandTest {
    /// Methods of which the folder holds what the trained parameters make, and not these parameters: their gradients are not in the folder's terms.
    private static final Set<String> RESULT_ALONE = Set.of("prefix-projection", "ptuning-lstm", "ptuning-mlp");

    @TempDir
    private Path folder;

    private record Case(String base, String folder, String method) {
        @Override
        public String toString() {
            return folder;
        }
    }

    private static Stream<Case> adapters() {
        return Stream.of("peft", "llm-adapters").flatMap(library -> Golden.folders(library).stream().flatMap(base -> {
            String name = base.getFileName().toString();
            return Golden.folders(library + "/" + name).stream().map(method -> method.getFileName().toString())
                    .map(method -> new Case(name, library + "/" + name + "/" + method, method));
        }));
    }

    private int logits(Object... args) {
        return graft(join(new Object[] {"logits"}, args));
    }

    private Path results() {
        return folder.resolve("io.safetensors");
    }

    @Test
    void everyGoldenFolderIsThere() {
        assertThat(adapters()).hasSize(25 + 25 + 26 + 3 * 7);
    }

    @TestFactory
    Stream<DynamicTest> adaptersAgree() {
        return adapters().map(c -> DynamicTest.dynamicTest(c.toString(), () -> {
            List<Object> args = new ArrayList<>(List.of("--model", Golden.path("models/" + c.base), "--adapter", Golden.path(c.folder),
                    "--input", Golden.path(c.folder).resolve("io.safetensors"), "--output", results()));
            boolean grads = !RESULT_ALONE.contains(c.method);
            if (grads) args.add("--grads");
            assertThat(logits(args.toArray())).as(err.toString()).isZero();
            try (GoldenTensors golden = GoldenTensors.of(c.folder); GoldenTensors found = GoldenTensors.of(folder)) {
                compare(golden, "", found, tolerance(c));
                if (grads)
                    compareGradients(golden.names().stream().filter(n -> n.startsWith("grad."))
                            .collect(Collectors.toMap(LogitsTest::savedKey, golden::floats)), found, tolerance(c));
            }
        }));
    }

    @TestFactory
    Stream<DynamicTest> modelsAgree() {
        return Golden.folders("models").stream().flatMap(model -> Stream.of("right.", "left.").map(side -> DynamicTest.dynamicTest(
                model.getFileName() + " " + side, () -> {
                    try (GoldenTensors golden = GoldenTensors.of(model); GoldenTensors grads = golden.file("grads.safetensors")) {
                        Path input = folder.resolve("in.safetensors");
                        Safetensors.write(input, Stream.of("input_ids", "attention_mask", "labels")
                                .map(name -> ints(name, golden.ints(side + name))).toList());
                        assertThat(logits("--model", model, "--input", input, "--output", results(), "--grads")).as(err.toString())
                                .isZero();
                        try (GoldenTensors found = GoldenTensors.of(folder)) {
                            compare(golden, side, found, 1e-4);
                            if (side.equals("right."))
                                compareGradients(grads.names().stream().collect(Collectors.toMap("grad."::concat, grads::floats)), found,
                                        1e-4);
                        }
                    }
                })));
    }

    @TestFactory
    Stream<DynamicTest> otherFormatsAgree() {
        return Golden.folders("formats").stream().map(model -> DynamicTest.dynamicTest(model.getFileName().toString(), () -> {
            assertThat(logits("--model", model, "--input", model.resolve("io.safetensors"), "--output", results())).as(err.toString())
                    .isZero();
            try (GoldenTensors golden = GoldenTensors.of(model); GoldenTensors found = GoldenTensors.of(folder)) {
                assertThat(found.names()).containsExactly("logits");
                compare(golden, "", found, 1e-4);
            }
        }));
    }

    @Test
    void gradientsNeedLabels() throws IOException {
        Path model = Golden.path("formats/gptj-f16");
        assertThat(logits("--model", model, "--input", model.resolve("io.safetensors"), "--output", results(), "--grads")).isEqualTo(1);
        assertThat(err.toString()).contains("has no labels, which --grads needs");
        assertThat(results()).doesNotExist();
    }

    @Test
    void wrongInputIsToldByName() throws IOException {
        Path model = Golden.path("models/llama-mha");
        Path input = folder.resolve("in.safetensors");
        Map<String, List<TensorSource>> wrong = new LinkedHashMap<>();
        int[][] ids = {{1, 2, 3}};
        int[][] mask = {{1, 1, 1}};
        wrong.put("input_ids", List.of(ints("attention_mask", mask)));
        wrong.put("holds id 4000 at [0, 1]", List.of(ints("input_ids", new int[][] {{1, 4000, 3}}), ints("attention_mask", mask)));
        wrong.put("must have the shape of input_ids", List.of(ints("input_ids", ids), ints("attention_mask", new int[][] {{1, 1}})));
        wrong.put("holds label -3",
                List.of(ints("input_ids", ids), ints("attention_mask", mask), ints("labels", new int[][] {{1, -3, 3}})));
        wrong.put("no label that counts",
                List.of(ints("input_ids", ids), ints("attention_mask", mask), ints("labels", new int[][] {{1, -100, -100}})));
        for (Map.Entry<String, List<TensorSource>> one : wrong.entrySet()) {
            Files.deleteIfExists(input);
            Safetensors.write(input, one.getValue());
            assertThat(logits("--model", model, "--input", input, "--output", results())).isEqualTo(1);
            assertThat(err.toString()).contains("in.safetensors", one.getKey()).doesNotContain("\tat ");
        }
    }

    // ---- what is compared ----

    /// RandLoRA's folders are compared loosely; AdapterGoldenTest says why.
    private static double tolerance(Case c) {
        return c.method.equals("randlora") ? 1e-2 : 1e-4;
    }

    /// Logits of the tokens that are no padding, and the loss where there is one.
    private static void compare(GoldenTensors golden, String side, GoldenTensors found, double tolerance) {
        float[] logits = found.floats("logits");
        int[] mask = Arrays.stream(golden.ints(side + "attention_mask")).flatMapToInt(Arrays::stream).toArray();
        int width = logits.length / mask.length;
        for (int i = 0; i < logits.length; i++) if (mask[i / width] == 0) logits[i] = 0;
        GoldenTensors.check(side + "logits", logits, golden.floats(side + "logits"), tolerance);
        if (golden.names().contains(side + "loss")) golden.check(side + "loss", found.floats("loss"));
    }

    private static void compareGradients(Map<String, float[]> expected, GoldenTensors found, double tolerance) {
        assertThat(found.names().stream().filter(n -> n.startsWith("grad."))).containsExactlyInAnyOrderElementsOf(expected.keySet());
        expected.forEach((name, gradient) -> GoldenTensors.check(name, found.floats(name), gradient, tolerance));
    }

    /// The golden names gradients by PEFT's parameters, which carry the adapter's name; the folder's keys do not.
    private static String savedKey(String gradient) {
        if (gradient.equals("grad.prompt_encoder.default.embedding.weight")) return "grad.prompt_embeddings";
        if (gradient.endsWith(".lora_magnitude_vector.default.weight")) return gradient.replace(".default.weight", "");
        return gradient.replace(".default", "");
    }

    private static TensorSource ints(String name, int[][] rows) {
        long[] values = Arrays.stream(rows).flatMapToInt(Arrays::stream).asLongStream().toArray();
        MemorySegment bytes = MemorySegment.ofArray(new byte[8 * values.length]).copyFrom(MemorySegment.ofArray(values));
        return TensorSource.of(name, DType.I64, Shape.of(rows.length, rows[0].length), bytes);
    }
}
