package dev.graft.peft.cli;

import dev.graft.models.generate.Generation;
import dev.graft.models.generate.GenerationConfig;
import dev.graft.models.generate.GenerationConfig.EarlyStopping;
import dev.graft.models.generate.GenerationConfig.LengthNorm;
import dev.graft.models.generate.Generator;
import dev.graft.models.text.Tokenizer;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/// Continues prompts. One prompt streams as it is decoded; several, or a beam search, are printed when done.
@Command(name = "generate", mixinStandardHelpOptions = true, sortOptions = false, description = "Continues one or more prompts.", footer = {
        "",
        "What is not given comes from the model's generation_config.json. Example:",
        "  graft generate --model DIR --adapter DIR --max-new-tokens 64 \"Once upon a time\""})
final class Generate implements Callable<Integer> {
    @Spec
    private CommandSpec spec;

    @Mixin
    private ModelOptions options;

    @Parameters(arity = "0..*", paramLabel = "PROMPT", description = "Texts to continue.")
    private List<String> prompts = List.of();

    @Option(names = "--prompts", paramLabel = "FILE", description = "More prompts, one a line; '-' reads standard input.")
    private Path file;

    @Option(names = "--max-new-tokens", paramLabel = "N", defaultValue = "128",
            description = "Most tokens to add (default: ${DEFAULT-VALUE}).")
    private int maxNewTokens;

    @Option(names = "--min-new-tokens", paramLabel = "N", description = "No end before this many.")
    private Integer minNewTokens;

    @Option(names = "--sample", description = "Draw tokens instead of taking the best; implied by the next four.")
    private boolean sample;

    @Option(names = "--temperature", paramLabel = "X", description = "Divides the logits; below 1 is more certain.")
    private Double temperature;

    @Option(names = "--top-k", paramLabel = "K", description = "Draw among the K best; 0 is off.")
    private Integer topK;

    @Option(names = "--top-p", paramLabel = "P", description = "Draw among the best that together have probability P.")
    private Double topP;

    @Option(names = "--min-p", paramLabel = "P", description = "Draw among those at least P times as probable as the best.")
    private Double minP;

    @Option(names = "--seed", paramLabel = "N", defaultValue = "0",
            description = "Of the draws; the same seed gives the same text (default: ${DEFAULT-VALUE}).")
    private long seed;

    @Option(names = "--repetition-penalty", paramLabel = "X", description = "Above 1 makes tokens that are there already less likely.")
    private Double repetitionPenalty;

    @Option(names = "--no-repeat-ngram", paramLabel = "N", description = "No N tokens in a row occur twice.")
    private Integer noRepeatNgram;

    @Option(names = "--beams", paramLabel = "N", description = "Beam search with N beams.")
    private Integer beams;

    @Option(names = "--length-penalty", paramLabel = "X", defaultValue = "1",
            description = "Of the beam search: above 0 favours longer texts (default: ${DEFAULT-VALUE}).")
    private double lengthPenalty;

    @Option(names = "--stop", paramLabel = "TEXT", description = "Text that ends generation; may be repeated.")
    private List<String> stops = List.of();

    @Override
    public Integer call() throws IOException {
        List<String> all = prompts();
        try (Tokenizer tokenizer = Tokenizer.load(options.model); ModelOptions.Loaded loaded = options.load()) {
            GenerationConfig config = config(tokenizer);
            Generator generator = new Generator(loaded.model(), tokenizer, config);
            PrintStream out = new PrintStream(System.out, true, StandardCharsets.UTF_8);
            if (all.size() == 1 && config.numBeams() == 1) {
                out.print(all.getFirst());
                generator.stream(all.getFirst(), piece -> {
                    out.print(piece);
                    out.flush();
                });
                out.println();
                return 0;
            }
            List<Generation> texts = generator.generate(tokenizer.encode(all, true));
            for (int i = 0; i < texts.size(); i++) out.println((i == 0 ? "" : "\n") + all.get(i) + texts.get(i).text().orElseThrow());
            return 0;
        }
    }

    private List<String> prompts() throws IOException {
        List<String> all = new ArrayList<>(prompts);
        if (file != null) {
            if (file.toString().equals("-")) all.addAll(new String(System.in.readAllBytes(), StandardCharsets.UTF_8).lines().toList());
            else all.addAll(Files.readAllLines(file));
        }
        if (all.isEmpty())
            throw new ParameterException(spec.commandLine(),
                    "there is no prompt; give one as an argument or a file of them with --prompts");
        return all;
    }

    private GenerationConfig config(Tokenizer tokenizer) {
        GenerationConfig c = GenerationConfig.read(options.model).withMaxNewTokens(maxNewTokens);
        if (minNewTokens != null) c = c.withMinNewTokens(minNewTokens);
        if (sample || temperature != null || topK != null || topP != null || minP != null) {
            c = c.withSampling(temperature == null ? c.temperature() : temperature, topK == null ? c.topK() : topK,
                    topP == null ? c.topP() : topP, seed);
        }
        if (minP != null) c = c.withMinP(minP);
        if (repetitionPenalty != null) c = c.withRepetitionPenalty(repetitionPenalty);
        if (noRepeatNgram != null) c = c.withNoRepeatNgramSize(noRepeatNgram);
        if (beams != null) {
            if (beams > 1 && c.doSample())
                throw new ParameterException(spec.commandLine(), "--beams searches, it does not draw; leave out the sampling options");
            c = c.withBeams(beams, lengthPenalty, EarlyStopping.HEURISTIC, LengthNorm.GENERATED);
        }
        if (!stops.isEmpty()) c = c.withStopStrings(stops);
        return c.eosIds().isEmpty() ? c.withEosIds(tokenizer.specialIds().eos()) : c;
    }
}
