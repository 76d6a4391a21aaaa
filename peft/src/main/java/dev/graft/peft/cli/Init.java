package dev.graft.peft.cli;

import dev.graft.models.CausalLm;
import dev.graft.models.ModelLoader;
import dev.graft.models.ModelWriter;
import dev.graft.models.io.Json;
import dev.graft.models.io.JsonObject;
import dev.graft.models.text.Tokenizer;
import dev.graft.tensor.DType;
import java.io.Console;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.function.LongConsumer;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import me.tongfei.progressbar.ProgressBar;
import me.tongfei.progressbar.ProgressBarBuilder;
import me.tongfei.progressbar.ProgressBarStyle;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/// Writes a model with random weights, of any size the disk can hold: nothing but a tensor at a time is in memory.
@Command(name = "init", mixinStandardHelpOptions = true, sortOptions = false,
        description = "Writes a model with random weights, to see what a size costs before there is a checkpoint, or to train from.",
        footer = {
                "",
                "Matrices are N(0, initializer_range^2), norms 1, biases 0; the same seed gives the same bytes. Example:",
                "  graft init --shape tinyllama-1.1b --output DIR",
                "  graft bench LargeModelBench -p model=DIR"})
final class Init implements Callable<Integer> {
    /// What a published model's config.json says other than Hugging Face's defaults, which are those of llama-7b and gpt-j-6b.
    private record Published(String name, String type, String config) {
    }

    private static final List<Published> SHAPES = List.of(
            new Published("bench-159m", "llama", """
                    {"hidden_size": 1024, "intermediate_size": 2816, "num_hidden_layers": 8, "num_attention_heads": 16,
                     "num_key_value_heads": 8, "rms_norm_eps": 1e-5}"""),
            new Published("tinyllama-1.1b", "llama", """
                    {"hidden_size": 2048, "intermediate_size": 5632, "num_hidden_layers": 22, "num_key_value_heads": 4,
                     "rms_norm_eps": 1e-5}"""),
            new Published("llama-3.2-1b", "llama", """
                    {"vocab_size": 128256, "hidden_size": 2048, "intermediate_size": 8192, "num_hidden_layers": 16,
                     "num_key_value_heads": 8, "head_dim": 64, "rms_norm_eps": 1e-5, "rope_theta": 500000.0,
                     "rope_scaling": {"rope_type": "llama3", "factor": 32.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                                      "original_max_position_embeddings": 8192},
                     "max_position_embeddings": 131072, "tie_word_embeddings": true, "bos_token_id": 128000, "eos_token_id": 128001}"""),
            new Published("llama-7b", "llama", """
                    {"pad_token_id": 0}"""),
            new Published("llama-3-8b", "llama", """
                    {"vocab_size": 128256, "intermediate_size": 14336, "num_key_value_heads": 8, "rms_norm_eps": 1e-5,
                     "rope_theta": 500000.0, "max_position_embeddings": 8192, "bos_token_id": 128000, "eos_token_id": 128001}"""),
            new Published("bloom-560m", "bloom", """
                    {"hidden_size": 1024, "n_layer": 24, "n_head": 16}"""),
            new Published("bloom-7b1", "bloom", """
                    {"hidden_size": 4096, "n_layer": 30, "n_head": 32}"""),
            new Published("gpt-j-6b", "gptj", """
                    {}"""));

    /// Beside the weights: headers, settings, what a file system needs itself.
    private static final long MARGIN = 16 << 20;

    @Spec
    private CommandSpec spec;

    @Option(names = "--shape", paramLabel = "NAME",
            description = "A published model's shape: bench-159m (the one that decoding is measured on), tinyllama-1.1b, llama-3.2-1b, llama-7b, llama-3-8b, "
                    + "bloom-560m, bloom-7b1 or gpt-j-6b.")
    private String shape;

    @Option(names = "--config", paramLabel = "FILE", description = "The config.json of any model that Graft knows, instead of --shape.")
    private Path config;

    @Option(names = "--output", required = true, paramLabel = "DIR", description = "Where the model goes.")
    private Path output;

    @Option(names = "--dtype", paramLabel = "TYPE", defaultValue = "BF16",
            description = "How the weights are written: F32, BF16 or F16 (default: ${DEFAULT-VALUE}).")
    private DType dtype;

    @Option(names = "--seed", paramLabel = "N", defaultValue = "1", description = "Of the weights (default: ${DEFAULT-VALUE}).")
    private long seed;

    @Option(names = "--tokenizer", paramLabel = "FILE",
            description = "A tokenizer.json to copy, or the folder of a model whose tokenizer to take. Without it the model knows ids, not text.")
    private Path tokenizer;

    @Override
    public Integer call() throws IOException {
        if ((shape == null) == (config == null)) throw misused("Give a --shape or a --config, one of them");
        if (dtype != DType.F32 && !dtype.isHalf()) throw misused("--dtype must be F32, BF16 or F16, got " + dtype.name());
        occupant(output).ifPresent(file -> {
            throw misused("--output " + output + " holds a model already (" + file + "); name another folder");
        });
        try (CausalLm model = ModelLoader.empty(settings())) {
            long bytes = dtype.bytes() * model.parameterCount();
            requireRoom(bytes);
            if (tokenizer != null) requireFitting(model.config().vocab());
            Files.createDirectories(output);
            if (tokenizer != null) copyTokenizer();
            long start = System.nanoTime();
            try (Progress progress = new Progress(bytes, spec.commandLine().getErr())) {
                ModelWriter.saveRandom(model, seed, output, dtype, ModelWriter.SHARD, progress);
            }
            spec.commandLine().getOut().printf(Locale.ROOT, "wrote %s: %,d parameters as %s, %s in %.1f s%n", output,
                    model.parameterCount(), dtype, Inspect.bytes(bytes), (System.nanoTime() - start) / 1e9);
        }
        return 0;
    }

    private ParameterException misused(String message) {
        return new ParameterException(spec.commandLine(), message);
    }

    private JsonObject settings() {
        if (config != null) return Json.read(config);
        return published(shape).orElseThrow(() -> misused("there is no shape '" + shape + "'; there are "
                + SHAPES.stream().map(Published::name).collect(Collectors.joining(", "))));
    }

    /// The config.json of a published model.
    static Optional<JsonObject> published(String shape) {
        return SHAPES.stream().filter(s -> s.name.equals(shape)).findFirst()
                .map(s -> {
                    Map<String, Object> json = new LinkedHashMap<>(Json.parse(s.config, s.name).toMap());
                    json.put("model_type", s.type);
                    return Json.parse(Json.format(json), s.name);
                });
    }

    /// A file of a model that is in the folder already.
    /// A file of a model in this folder.
    static Optional<Path> occupant(Path folder) throws IOException {
        if (!Files.isDirectory(folder)) return Optional.empty();
        try (Stream<Path> files = Files.list(folder)) {
            return files.map(Path::getFileName)
                    .filter(f -> f.toString().matches("config\\.json|(model|pytorch_model)\\b.*\\.(safetensors|bin|index\\.json)")).sorted()
                    .findFirst();
        }
    }

    private void requireRoom(long bytes) throws IOException {
        Path there = output.toAbsolutePath();
        while (!Files.exists(there)) there = there.getParent();
        long free = Files.getFileStore(there).getUsableSpace();
        if (bytes + MARGIN > free) {
            throw misused("the model takes %s as %s; %s has %s free".formatted(Inspect.bytes(bytes), dtype, there, Inspect.bytes(free)));
        }
    }

    private void requireFitting(int vocab) {
        try (Tokenizer loaded = Tokenizer.load(tokenizer)) {
            if (loaded.vocabSize() <= vocab) return;
            throw misused("--tokenizer %s has ids up to %d; the model has %d, 0 … %d".formatted(tokenizer, loaded.vocabSize() - 1, vocab,
                    vocab - 1));
        }
    }

    private void copyTokenizer() throws IOException {
        if (Files.isDirectory(tokenizer)) ModelWriter.copyCompanions(tokenizer, output);
        else Files.copy(tokenizer, output.resolve("tokenizer.json"), StandardCopyOption.REPLACE_EXISTING);
    }

    /// A bar on a terminal, elsewhere a line every ten seconds.
    private static final class Progress implements LongConsumer, AutoCloseable {
        private static final long INTERVAL = Duration.ofSeconds(10).toNanos();
        private static final long MIB = 1 << 20;

        private final long bytes;
        private final PrintWriter err;
        private final ProgressBar bar;
        private final long start = System.nanoTime();
        private long shownAt = start;

        Progress(long bytes, PrintWriter err) {
            this.bytes = bytes;
            this.err = err;
            Console console = System.console();
            bar = console == null || !console.isTerminal() ? null
                    : new ProgressBarBuilder().setTaskName("").setInitialMax(bytes).setUnit(" MiB", MIB)
                            .setStyle(ProgressBarStyle.UNICODE_BLOCK).setUpdateIntervalMillis(200).showSpeed().build();
        }

        @Override
        public void accept(long done) {
            long now = System.nanoTime();
            if (bar != null) {
                bar.stepTo(done);
            } else if (now - shownAt >= INTERVAL) {
                shownAt = now;
                double rate = done / ((now - start) / 1e9);
                err.printf(Locale.ROOT, "%,d of %,d MiB  %,.0f MiB/s  left %.0f s%n", done / MIB, bytes / MIB, rate / MIB,
                        (bytes - done) / rate);
                err.flush();
            }
        }

        @Override
        public void close() {
            if (bar != null) bar.close();
        }
    }
}
