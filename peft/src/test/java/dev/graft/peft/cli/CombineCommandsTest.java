package dev.graft.peft.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.graft.models.CausalLm;
import dev.graft.models.ModelLoader;
import dev.graft.models.generate.GenerationConfig;
import dev.graft.models.generate.Generator;
import dev.graft.models.io.Json;
import dev.graft.models.io.JsonObject;
import dev.graft.models.text.BpeTrainer;
import dev.graft.models.text.Tokenizer;
import dev.graft.peft.Peft;
import dev.graft.peft.combine.CombLm;
import dev.graft.peft.combine.Combination;
import dev.graft.peft.method.Lora;
import dev.graft.tensor.DType;
import dev.graft.tensor.Scope;
import dev.graft.tensor.Tensor;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// `graft combine`, and `--combine` of generate and eval.
class CombineCommandsTest extends CommandTest {
    private static final String PROMPT = "Ann has 3 apples";

    @TempDir
    static Path shared;
    private static Path large;
    private static Path small;
    private static Path adapter;
    private static Path records;

    @TempDir
    Path folder;

    @BeforeAll
    static void make() throws IOException {
        large = TinyModel.model(shared.resolve("large"), 32, 5);
        small = TinyModel.model(shared.resolve("small"), 16, 6);
        records = TinyModel.records(shared.resolve("records.jsonl"));
        adapter = shared.resolve("lora");
        try (CausalLm model = ModelLoader.load(small); Peft peft = Peft.attach(model, Lora.of(4, 16, "q_proj", "down_proj"), 3)) {
            try (var _ = Scope.untracked()) {
                peft.parameters().forEach(p -> p.value().assign(p.value().add(Tensor.randn(DType.F32, p.shape(), 4).mul(0.3))));
            }
            peft.save(adapter);
        }
    }

    private Object[] combine(Path output, Object... more) {
        return join(new Object[] {"combine", "--small", small, "--small-adapter", adapter, "--large", large, "--data", records, "--test",
                records, "--template", "short", "--batch-size", 97, "--output", output}, more);
    }

    @Test
    void whatIsLearnedIsDecodedWith() throws IOException {
        Path how = folder.resolve("how");
        assertThat(graft(combine(how, "--form", "constant-vector", "--learning-rate", 0.5, "--epochs", 2))).as(err.toString()).isZero();
        assertThat(out.toString()).contains("step 1  loss", "constant-vector", "oracle", "wrote " + how);
        JsonObject found = Json.read(how.resolve("combining.json")).requireObject("perplexity");
        assertThat(found.requireDouble("combined")).isLessThan(0.9 * found.requireDouble("mean"));
        Object[] ask = {"generate", "--model", large, "--max-new-tokens", 12, PROMPT};
        assertThat(graft(ask)).isZero();
        String plain = out.toString();
        assertThat(graft(join(ask, "--combine", how, "--combine-small", small, "--combine-small-adapter", adapter))).as(err.toString())
                .isZero();
        try (Tokenizer tokenizer = Tokenizer.load(large);
                CausalLm first = ModelLoader.load(small);
                Peft _ = Peft.load(first, adapter);
                CausalLm second = ModelLoader.load(large);
                Combination combination = Combination.load(how)) {
            GenerationConfig config = GenerationConfig.read(large).withMaxNewTokens(12).withEosIds(tokenizer.specialIds().eos());
            String text = new Generator(new CombLm(first, second, combination), tokenizer, config).text(PROMPT);
            assertThat(out.toString()).isEqualTo(PROMPT + text + System.lineSeparator()).isNotEqualTo(plain);
        }
        assertThat(graft(join(ask, "--combine", how, "--combine-small", small, "--beams", 3))).as(err.toString()).isZero();
        assertThat(graft("eval", "--model", large, "--combine", how, "--combine-small", small, "--combine-small-adapter", adapter, "--data",
                records, "--kind", "numeric", "--beams", 2, "--max-new-tokens", 3, "--limit", 3, "--template", "short", "--output",
                folder.resolve("results"))).as(err.toString()).isZero();
        JsonObject combined = Json.read(folder.resolve("results/records.summary.json")).requireObject("combined");
        assertThat(combined.requireObject("combination").keys()).containsExactly("combination.json", "combination.safetensors");
        assertThat(combined.requireObject("small_adapter").requireString("folder")).isEqualTo("lora");
    }

    @Test
    void textsAreReadInPieces() throws IOException {
        Path text = Files.writeString(folder.resolve("a.txt"), "Ann has 3 apples and Ben has 4.\n\nHow many do they have?\n");
        assertThat(graft("combine", "--small", small, "--large", large, "--data", text, "--test", text, "--length", 8, "--output",
                folder.resolve("e"))).as(err.toString()).isZero();
        JsonObject figures = Json.read(folder.resolve("e/combining.json"));
        assertThat(figures.requireString("form")).isEqualTo("entropy-scalar");
        assertThat((double) figures.requireInt("training_tokens")).isEqualTo(figures.requireObject("perplexity").requireDouble("tokens"));
        try (Tokenizer tokenizer = Tokenizer.load(large)) {
            int expected = 0;                                                    // of each piece all but the first
            for (int[] ids : tokenizer.encode(List.of("Ann has 3 apples and Ben has 4.", "How many do they have?"), true))
                expected += ids.length + 1 - (ids.length + 1 + 7) / 8;
            assertThat(figures.requireInt("training_tokens")).isEqualTo(expected);
        }
        assertThat(graft("combine", "--form", "mean", "--small", small, "--large", large, "--data", text, "--test", text, "--output",
                folder.resolve("m"))).as(err.toString()).isZero();
        JsonObject mean = Json.read(folder.resolve("m/combining.json")).requireObject("perplexity");
        assertThat(mean.requireDouble("combined")).isCloseTo(mean.requireDouble("mean"), within(1e-9));
    }

    private void refused(int code, String message, Object... args) {
        assertThat(graft(args)).isEqualTo(code);
        assertThat(err.toString()).contains(message).doesNotContain("\tat ");
    }

    @Test
    void mistakesAreToldByName() throws IOException {
        refused(2, "there is no combination 'median'; there are mean, constant-scalar", combine(folder, "--form", "median"));
        refused(2, "--length must be at least 2, got 1", combine(folder, "--length", 1));
        refused(1, "the learning rate must be a number above 0, got -1.0", combine(folder, "--learning-rate", -1));
        Object[] ask = {"generate", "--model", large, PROMPT};
        refused(2, "--combine and --combine-small go together", join(ask, "--combine", folder));
        refused(2, "--combine and --combine-small go together", join(ask, "--combine-small-adapter", adapter));
        refused(2, "are two ways to use small models", join(ask, "--combine", folder, "--combine-small", small, "--proxy-expert", small,
                "--proxy-anti-expert", small));
        refused(1, "combination.json: does not exist", join(ask, "--combine", folder, "--combine-small", small));
        Files.writeString(folder.resolve("combination.json"), "{}");
        refused(1, "holds a combination already", combine(folder));
        Path strange = folder.resolve("strange");
        for (String name : List.of("config.json", "model.safetensors")) {
            Files.createDirectories(strange);
            Files.copy(small.resolve(name), strange.resolve(name));
        }
        BpeTrainer.train(Stream.of("quite other words and letters zzz"), 300, strange);
        refused(1, "must share one vocabulary", "combine", "--small", strange, "--large", large, "--data", records, "--test", records,
                "--output", folder.resolve("x"));
    }
}
