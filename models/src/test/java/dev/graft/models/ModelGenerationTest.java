package dev.graft.models;

import static org.assertj.core.api.Assertions.assertThat;

import dev.graft.models.generate.Generation;
import dev.graft.models.generate.GenerationConfig;
import dev.graft.models.generate.Generator;
import dev.graft.models.generate.Session;
import dev.graft.tensor.Scope;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/// Decoding over the cache against transformers' generate(), and against passes over the whole text.
class ModelGenerationTest {
    private static final GenerationConfig TEN = GenerationConfig.defaults().withMaxNewTokens(10);

    private static Stream<String> models() {
        return Golden.folders("models").stream().map(folder -> folder.getFileName().toString());
    }

    @ParameterizedTest
    @MethodSource("models")
    void leftPaddedPromptsContinueAsInTheReference(String name) {
        try (GoldenTensors golden = GoldenTensors.of("models/" + name); CausalLm model = ModelLoader.load(golden.folder())) {
            List<int[]> prompts = prompts(golden);
            check(new Generator(model, TEN).generate(prompts), golden.ints("generate.greedy"));
            check(new Generator(model, TEN.withBeams(4)).generate(prompts), golden.ints("generate.beam4"));
        }
    }

    @Test
    void stories260KContinuesAsInTheReference() {
        try (GoldenTensors golden = GoldenTensors.of(SharedFolder.path("golden/stories260K"));
                CausalLm model = ModelLoader.load(golden.folder())) {
            for (int i = 0; i < 3; i++) {
                String prompt = "prompt." + i;
                try (Session session = model.open(List.of(golden.ints(prompt + ".ids")[0]), 1)) {
                    float[] all = golden.floats(prompt + ".logits");
                    GoldenTensors.check(prompt + " last logits", session.logits()[0], Arrays.copyOfRange(all, all.length - 512, all.length),
                            1e-4);
                }
            }
            // All three in one batch: each must come out as if it were alone.
            List<int[]> prompts = IntStream.range(0, 3).mapToObj(i -> golden.ints("prompt." + i + ".ids")[0]).toList();
            List<Generation> greedy = new Generator(model, GenerationConfig.defaults().withMaxNewTokens(120)).generate(prompts);
            List<Generation> beams = new Generator(model, GenerationConfig.defaults().withMaxNewTokens(40).withBeams(4)).generate(prompts);
            for (int i = 0; i < 3; i++) {
                assertThat(whole(prompts.get(i), greedy.get(i))).isEqualTo(golden.ints("prompt." + i + ".greedy")[0]);
                assertThat(whole(prompts.get(i), beams.get(i))).isEqualTo(golden.ints("prompt." + i + ".beam4")[0]);
            }
        }
    }

    @Test
    void stories260KLogitsAgreeAtEveryPosition() {
        try (GoldenTensors golden = GoldenTensors.of(SharedFolder.path("golden/stories260K"));
                CausalLm model = ModelLoader.load(golden.folder());
                var _ = Scope.open()) {
            for (int i = 0; i < 3; i++) {
                String prompt = "prompt." + i;
                golden.check(prompt + ".logits", model.logits(Inputs.of(golden.ints(prompt + ".ids"))).toFloats());
            }
        }
    }

    @ParameterizedTest
    @MethodSource("models")
    void theCacheGivesWhatAPassOverTheWholeTextGives(String name) {
        try (GoldenTensors golden = GoldenTensors.of("models/" + name); CausalLm model = ModelLoader.load(golden.folder())) {
            List<int[]> texts = new ArrayList<>(prompts(golden));
            try (Session session = model.open(texts, 80)) {
                for (int step = 0; step < 80; step++) {                          // past the first size of the cache and of the rotary table
                    if (step % 9 == 0) compare(model, texts, session.logits());
                    if (step == 20) {                                              // rows doubled, swapped and left out
                        int[] rows = {1, 0, 1};
                        session.reorder(rows);
                        texts = new ArrayList<>(Arrays.stream(rows).mapToObj(texts::get).toList());
                        compare(model, texts, session.logits());
                    }
                    int[] next = new int[texts.size()];
                    for (int b = 0; b < next.length; b++) {
                        next[b] = (step * 7 + b * 11) % 96;
                        int[] grown = Arrays.copyOf(texts.get(b), texts.get(b).length + 1);
                        grown[grown.length - 1] = next[b];
                        texts.set(b, grown);
                    }
                    session.advance(next);
                }
                compare(model, texts, session.logits());
            }
        }
    }

    private static void compare(CausalLm model, List<int[]> texts, float[][] logits) {
        for (int b = 0; b < texts.size(); b++) {
            try (Session alone = model.open(List.of(texts.get(b)), 1)) {
                GoldenTensors.check("row " + b, logits[b], alone.logits()[0], 1e-4);
            }
        }
    }

    private static List<int[]> prompts(GoldenTensors golden) {
        int[][] ids = golden.ints("generate.input_ids");
        int[][] mask = golden.ints("generate.attention_mask");
        return IntStream.range(0, ids.length)
                .mapToObj(b -> IntStream.range(0, ids[b].length).filter(t -> mask[b][t] == 1).map(t -> ids[b][t]).toArray())
                .toList();
    }

    private static void check(List<Generation> generations, int[][] expected) {
        for (int i = 0; i < expected.length; i++) {
            assertThat(generations.get(i).ids()).isEqualTo(Arrays.copyOfRange(expected[i], expected[i].length - 10, expected[i].length));
        }
    }

    private static int[] whole(int[] prompt, Generation generation) {
        return IntStream.concat(Arrays.stream(prompt), Arrays.stream(generation.ids())).toArray();
    }
}
