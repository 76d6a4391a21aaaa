package dev.graft.peft.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.graft.models.CausalLm;
import dev.graft.models.Inputs;
import dev.graft.models.ModelLoader;
import dev.graft.models.io.Json;
import dev.graft.models.llama.Llama;
import dev.graft.models.llama.LlamaConfig;
import dev.graft.tensor.DType;
import dev.graft.tensor.Scope;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/// `init`: models with random weights.
class InitTest extends CommandTest {
    private static final String SMALL = """
            {"model_type": "llama", "vocab_size": 307, "hidden_size": 24, "intermediate_size": 20, "num_hidden_layers": 2,
             "num_attention_heads": 4, "mlp_bias": true, "eos_token_id": [5, 7]}""";

    @TempDir
    Path folder;

    private int init(Object... args) {
        return graft(join(new Object[] {"init"}, args));
    }

    private Path config(String json) throws IOException {
        return Files.writeString(folder.resolve("settings.json"), json);
    }

    private Path weights(String model) {
        return folder.resolve(model).resolve("model.safetensors");
    }

    @Test
    void whatItWritesLoadsAsTheInitialisedModelRoundedToTheType() throws IOException {
        assertThat(init("--config", config(SMALL), "--seed", 3, "--output", folder.resolve("m"))).as(err.toString()).isZero();
        assertThat(out.toString()).startsWith("wrote " + folder.resolve("m") + ": ").contains("parameters as bf16");
        try (CausalLm model = ModelLoader.load(folder.resolve("m"));
                CausalLm held = new Llama(LlamaConfig.of(Json.parse(SMALL, "")));
                var _ = Scope.open()) {
            assertThat(model.config()).isEqualTo(held.config());
            held.initialise(3);
            held.parameters().forEach(p -> p.fill(p.value().to(DType.BF16)));
            Inputs in = Inputs.of(new int[][] {{1, 5, 9, 306}}, null);
            assertThat(model.logits(in).toFloats()).isEqualTo(held.logits(in).toFloats());
        }
    }

    @Test
    void theSeedDecidesTheBytes() throws IOException {
        Path config = config(SMALL);
        assertThat(init("--config", config, "--output", folder.resolve("a"))).isZero();
        assertThat(init("--config", config, "--output", folder.resolve("b"), "--seed", 1)).isZero();
        assertThat(init("--config", config, "--output", folder.resolve("c"), "--seed", 2)).isZero();
        assertThat(Files.mismatch(weights("a"), weights("b"))).isEqualTo(-1);
        assertThat(Files.mismatch(weights("a"), weights("c"))).isPositive();
    }

    @ParameterizedTest
    @CsvSource({"F32, 4", "F16, 2", "bf16, 2"})
    void theTypeDecidesTheSize(String dtype, int bytes) throws IOException {
        assertThat(init("--config", config(SMALL), "--dtype", dtype, "--output", folder.resolve("m"))).isZero();
        try (CausalLm model = ModelLoader.load(folder.resolve("m"))) {
            assertThat(Files.size(weights("m")) - bytes * model.parameterCount()).isBetween(1L, 10_000L);
        }
    }

    /// Counts as their authors publish them; the first is what decoding is measured on.
    @ParameterizedTest
    @CsvSource({"bench-159m, 159925248", "tinyllama-1.1b, 1100048384", "llama-3.2-1b, 1235814400", "llama-7b, 6738415616",
            "llama-3-8b, 8030261248"})
    void publishedShapesHaveAsManyParametersAsTheirModels(String shape, long parameters) {
        try (CausalLm model = ModelLoader.empty(Init.published(shape).orElseThrow())) {
            assertThat(model.parameterCount()).isEqualTo(parameters);
        }
    }

    @Test
    void aTokenizerComesAlong() throws IOException {
        Path other = TinyModel.model(folder.resolve("other"));
        Path config = config(SMALL);
        assertThat(init("--config", config, "--tokenizer", other, "--output", folder.resolve("a"))).as(err.toString()).isZero();
        assertThat(init("--config", config, "--tokenizer", other.resolve("tokenizer.json"), "--output", folder.resolve("b"))).isZero();
        for (String model : List.of("a", "b")) {
            assertThat(Files.mismatch(folder.resolve(model).resolve("tokenizer.json"), other.resolve("tokenizer.json"))).isEqualTo(-1);
        }
        assertThat(Files.mismatch(weights("a"), weights("b"))).isEqualTo(-1);
    }

    @Test
    void aTokenizerThatIsTooLargeIsRefused() throws IOException {
        Path other = TinyModel.model(folder.resolve("other"));
        assertThat(init("--config", config(SMALL.replace("307", "299")), "--tokenizer", other, "--output", folder.resolve("m")))
                .isEqualTo(2);
        assertThat(err.toString()).contains("has ids up to 299; the model has 299, 0 … 298");
        assertThat(folder.resolve("m")).doesNotExist();
    }

    @ParameterizedTest
    @ValueSource(strings = {"config.json", "model.safetensors", "model-00001-of-00002.safetensors", "model.safetensors.index.json",
            "pytorch_model.bin"})
    void aFolderThatHoldsAModelIsLeftAlone(String file) throws IOException {
        Path model = Files.createDirectories(folder.resolve("m"));
        Files.writeString(model.resolve(file), "mine");
        assertThat(init("--config", config(SMALL), "--output", model)).isEqualTo(2);
        assertThat(err.toString()).contains(model + " holds a model already (" + file + ")");
        assertThat(model.resolve(file)).hasContent("mine");
        assertThat(model).isDirectoryContaining(f -> true).satisfies(m -> assertThat(m.toFile().list()).hasSize(1));
    }

    @Test
    void aModelLargerThanTheDiskIsRefusedBeforeAnythingIsWritten() throws IOException {
        String huge = """
                {"model_type": "llama", "hidden_size": 1048576, "intermediate_size": 1048576, "num_hidden_layers": 2000}""";
        assertThat(init("--config", config(huge), "--output", folder.resolve("m"))).isEqualTo(2);
        assertThat(err.toString()).containsPattern("takes [\\d.]+ GiB as bf16; " + folder + " has [\\d.]+ [GM]iB free");
        assertThat(folder.resolve("m")).doesNotExist();
    }

    @Test
    void mistakesAreToldInASentence() throws IOException {
        assertThat(init("--output", folder.resolve("m"))).isEqualTo(2);
        assertThat(init("--output", folder.resolve("m"), "--shape", "llama-7b", "--config", config(SMALL))).isEqualTo(2);
        assertThat(err.toString()).contains("Give a --shape or a --config, one of them");
        assertThat(init("--output", folder.resolve("m"), "--shape", "llama-7")).isEqualTo(2);
        assertThat(err.toString()).contains("there is no shape 'llama-7'; there are bench-159m, tinyllama-1.1b, ");
        for (String dtype : List.of("F64", "I8")) {
            assertThat(init("--output", folder.resolve("m"), "--shape", "bench-159m", "--dtype", dtype)).isEqualTo(2);
            assertThat(err.toString()).contains("--dtype must be F32, BF16 or F16, got " + dtype);
        }
        assertThat(init("--output", folder.resolve("m"), "--config", folder.resolve("absent.json"))).isEqualTo(1);
        assertThat(err.toString()).contains("absent.json", "does not exist").doesNotContain("\tat ");
        assertThat(init("--output", folder.resolve("m"), "--config", config("{\"model_type\": \"gpt2\"}"))).isEqualTo(1);
        assertThat(err.toString()).contains("settings.json", "'gpt2'");
        assertThat(folder.resolve("m")).doesNotExist();
    }
}
