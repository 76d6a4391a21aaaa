package dev.graft.peft.cli;

import dev.graft.models.CausalLm;
import dev.graft.models.Inputs;
import dev.graft.models.ModelWriter;
import dev.graft.models.io.Json;
import dev.graft.models.llama.Llama;
import dev.graft.models.llama.Mup;
import dev.graft.models.text.BpeTrainer;
import dev.graft.models.text.Tokenizer;
import dev.graft.nn.Parameter;
import dev.graft.optim.Groups;
import dev.graft.optim.Schedule;
import dev.graft.peft.tinyworld.Questions;
import dev.graft.peft.tinyworld.TinyVocabulary;
import dev.graft.peft.tinyworld.TinyWorld;
import dev.graft.peft.tinyworld.Trigram;
import dev.graft.peft.train.CausalLoss;
import dev.graft.peft.train.Example;
import dev.graft.peft.train.StepReport;
import dev.graft.peft.train.TrainConfig;
import dev.graft.peft.train.TrainListener;
import dev.graft.peft.train.TrainResult;
import dev.graft.peft.train.Trainee;
import dev.graft.peft.train.Trainer;
import dev.graft.tensor.DType;
import dev.graft.tensor.Scope;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/// Trains a small model from scratch, and says how well it predicts text it has not seen, beside a trigram model.
@Command(name = "pretrain", mixinStandardHelpOptions = true, sortOptions = false,
        description = "Trains a small LLaMA, BLOOM or GPT-J from scratch, on generated stories or a text of yours.", footer = {
                "",
                "With the defaults: the model of the quickstart. Writes a Hugging Face folder with its tokenizer, and pretraining.json with the figures."})
final class Pretrain implements Callable<Integer> {
    @Option(names = "--output", required = true, paramLabel = "DIR", description = "Where the model goes.")
    private Path output;

    @Option(names = "--architecture", paramLabel = "NAME", defaultValue = "LLAMA",
            description = "llama, bloom or gptj (default: llama).")
    private Architecture architecture;

    @Option(names = "--text", paramLabel = "FILE",
            description = "Texts to learn, separated by empty lines; one in fifty is held out. Without it: generated stories.")
    private Path text;

    @Option(names = "--stories", paramLabel = "N", defaultValue = "150000",
            description = "Generated stories to learn (default: ${DEFAULT-VALUE}).")
    private int stories;

    @Option(names = "--questions", paramLabel = "N", defaultValue = "0",
            description = "Generated questions with answers among them, about one change each, answered in five ways (default: ${DEFAULT-VALUE}).")
    private int questions;

    @Option(names = "--vocab-size", paramLabel = "N", defaultValue = "1024",
            description = "Entries of the tokenizer that is trained first (default: ${DEFAULT-VALUE}).")
    private int vocabSize;

    @Option(names = "--hidden-size", paramLabel = "N", defaultValue = "128", description = "Width (default: ${DEFAULT-VALUE}).")
    private int hiddenSize;

    @Option(names = "--intermediate-size", paramLabel = "N",
            description = "Width inside the MLP (default: 11/4 of --hidden-size for llama, 4 times it for the others).")
    private Optional<Integer> intermediateSize;

    @Option(names = "--layers", paramLabel = "N", defaultValue = "4", description = "Blocks (default: ${DEFAULT-VALUE}).")
    private int layers;

    @Option(names = "--heads", paramLabel = "N", defaultValue = "4", description = "Attention heads (default: ${DEFAULT-VALUE}).")
    private int heads;

    @Option(names = "--key-value-heads", paramLabel = "N", description = "Heads of keys and values (default: as many as --heads).")
    private Optional<Integer> keyValueHeads;

    @Option(names = "--length", paramLabel = "N", defaultValue = "128", description = "Tokens per example (default: ${DEFAULT-VALUE}).")
    private int length;

    @Option(names = "--steps", paramLabel = "N", defaultValue = "5000", description = "Optimizer steps (default: ${DEFAULT-VALUE}).")
    private int steps;

    @Option(names = "--batch-size", paramLabel = "N", defaultValue = "16", description = "Examples per step (default: ${DEFAULT-VALUE}).")
    private int batchSize;

    @Option(names = "--learning-rate", paramLabel = "X", defaultValue = "0.003",
            description = "Largest rate; 100 steps of warm-up, then a cosine to 0 (default: ${DEFAULT-VALUE}).")
    private double learningRate;

    @Option(names = "--mup-base-width", paramLabel = "N",
            description = "Train a llama in the maximal update parametrisation, with a learning rate found for this width; the folder is a Granite.")
    private Optional<Integer> mupBaseWidth;

    @Option(names = "--mup-output-multiplier", paramLabel = "X",
            description = "With it, what logits are multiplied by at the base width (default: 1).")
    private Optional<Double> mupOutputMultiplier;

    @Option(names = "--mup-zero-queries", description = "With it, let queries start at 0.")
    private boolean mupZeroQueries;

    @Option(names = "--dtype", paramLabel = "TYPE", defaultValue = "BF16",
            description = "How the weights are written: F32, BF16 or F16 (default: ${DEFAULT-VALUE}).")
    private DType dtype;

    @Option(names = "--seed", paramLabel = "N", defaultValue = "1",
            description = "Of the stories, the first weights and the order (default: ${DEFAULT-VALUE}).")
    private long seed;

    private record Corpus(List<String> training, List<String> heldOut) {
    }

    @Override
    public Integer call() throws IOException {
        if (hiddenSize % heads != 0)
            throw new IllegalArgumentException("--hidden-size " + hiddenSize + " is not a multiple of --heads " + heads);
        if (mupBaseWidth.isEmpty() && (mupOutputMultiplier.isPresent() || mupZeroQueries))
            throw new IllegalArgumentException("--mup-output-multiplier and --mup-zero-queries go with --mup-base-width");
        if (text != null && questions > 0) throw new IllegalArgumentException("--questions go among generated stories, not with --text");
        if (Init.occupant(output).isPresent())
            throw new IllegalArgumentException("--output " + output + " holds a model already; name another folder");
        Corpus corpus = corpus();
        Files.createDirectories(output);
        System.out.printf("tokenizer: %d entries%n", vocabSize);
        // The tiny world's vocabulary knows the words of its problems, too, which the stories do not have.
        if (text == null) TinyVocabulary.write(seed, vocabSize, output);
        else BpeTrainer.train(corpus.training.stream().limit(20_000), vocabSize, output);
        try (Tokenizer tokenizer = Tokenizer.load(output); CausalLm model = model(tokenizer)) {
            List<int[]> training = encode(tokenizer, corpus.training);
            List<int[]> heldOut = encode(tokenizer, corpus.heldOut);
            Groups groups = initialise(model);
            List<Parameter> parameters = model.parameters().toList();
            parameters.forEach(p -> p.trainable(true));
            System.out.printf("model: %,d parameters; %,d training tokens%n", model.parameterCount(),
                    training.stream().mapToLong(t -> t.length).sum());
            TrainConfig config = TrainConfig.with(c -> c.steps(steps).batchSize(batchSize).microBatchSize(batchSize)
                    .learningRate(learningRate)
                    .schedule(Schedule.Law.COSINE).warmupSteps(Math.min(100, steps)).weightDecay(0.1).beta2(0.95).clipNorm(1).seed(seed));
            TrainResult result = new Trainer(config, new CausalLoss(model), Trainee.of(parameters, groups)).listener(new Progress()).fit(
                    blocks(training),
                    List.of());
            parameters.forEach(p -> p.trainable(false));
            ModelWriter.save(model, output, dtype, ModelWriter.SHARD);
            report(result, model, training, heldOut);
        }
        return 0;
    }

    private CausalLm model(Tokenizer tokenizer) {
        CausalLm model = architecture.model(
                new Architecture.Size(tokenizer.vocabSize(), hiddenSize, intermediateSize, layers, heads, keyValueHeads),
                tokenizer.specialIds());
        return mupBaseWidth.isEmpty() ? model : new Llama(mup(model).scaled(((Llama) model).config()));
    }

    private Mup mup(CausalLm model) {
        if (!(model instanceof Llama llama))
            throw new IllegalArgumentException(
                    "--mup-base-width is for --architecture llama, got " + architecture.name().toLowerCase(Locale.ROOT));
        return new Mup(hiddenSize, mupBaseWidth.get(), llama.config().layers(), mupOutputMultiplier.orElse(1.0), mupZeroQueries);
    }

    /// Gives the model its first values; says which of them learn slower.
    private Groups initialise(CausalLm model) {
        if (mupBaseWidth.isEmpty()) {
            model.initialise(seed);
            return Groups.ONE;
        }
        Mup mup = mup(model);
        mup.initialise((Llama) model, seed);
        return mup;
    }

    private Corpus corpus() throws IOException {
        if (text == null) {
            if (stories < 1 || questions < 0)
                throw new IllegalArgumentException(
                        "--stories must be at least 1 and --questions at least 0, got " + stories + " and " + questions);
            TinyWorld world = new TinyWorld(seed);
            Stream<String> asked = new Questions(seed).training().limit(questions);
            return new Corpus(Stream.concat(world.training().limit(stories), asked).toList(),
                    world.heldOut().limit(Math.max(1, stories / 150)).toList());
        }
        List<String> training = new ArrayList<>();
        List<String> heldOut = new ArrayList<>();
        for (String part : Files.readString(text).split("\\R\\s*\\R")) {
            if (!part.isBlank()) (TinyWorld.heldOut(part) ? heldOut : training).add(part.strip());
        }
        if (training.isEmpty() || heldOut.isEmpty()) {
            throw new IllegalArgumentException(
                    text + " has too few texts (" + (training.size() + heldOut.size()) + "); separate them by empty lines");
        }
        return new Corpus(training, heldOut);
    }

    /// Each text between its beginning and its end token.
    private static List<int[]> encode(Tokenizer tokenizer, List<String> texts) {
        int bos = tokenizer.specialIds().bos().orElseThrow();
        int eos = tokenizer.specialIds().eos().getFirst();
        return tokenizer.encode(texts, false).stream()
                .map(ids -> IntStream.concat(IntStream.concat(IntStream.of(bos), IntStream.of(ids)), IntStream.of(eos)).toArray()).toList();
    }

    /// All texts one after the other, cut into examples of one length.
    private List<Example> blocks(List<int[]> texts) {
        int[] all = texts.stream().flatMapToInt(IntStream::of).toArray();
        if (all.length < length)
            throw new IllegalArgumentException("the text has only " + all.length + " tokens, less than one example of " + length);
        return IntStream.range(0, all.length / length)
                .mapToObj(i -> Example.of(IntStream.range(i * length, (i + 1) * length).map(t -> all[t]).toArray()))
                .toList();
    }

    private void report(TrainResult result, CausalLm model, List<int[]> training, List<int[]> heldOut) {
        double perplexity = perplexity(model, heldOut);
        Trigram trigram = new Trigram(model.config().vocab());
        training.forEach(t -> trigram.train(afterFirst(t)));
        double baseline = trigram.perplexity(heldOut.stream().map(Pretrain::afterFirst).toList());
        System.out.printf("held-out perplexity per token: %.3f; an interpolated Kneser-Ney trigram model on the same training text: %.3f%n",
                perplexity, baseline);
        Map<String, Object> figures = new LinkedHashMap<>();
        figures.put("architecture", model.config().modelType());
        figures.put("hidden_size", hiddenSize);
        figures.put("layers", layers);
        figures.put("heads", heads);
        if (mupBaseWidth.isPresent()) {
            figures.put("mup_base_width", mupBaseWidth.get());
            figures.put("mup_output_multiplier", mupOutputMultiplier.orElse(1.0));
            figures.put("mup_zero_queries", mupZeroQueries);
        }
        figures.put("held_out_perplexity", perplexity);
        figures.put("held_out_loss", Math.log(perplexity));
        figures.put("trigram_perplexity", baseline);
        figures.put("held_out_texts", heldOut.size());
        figures.put("training_texts", training.size());
        figures.put("parameters", model.parameterCount());
        if (text == null) {
            figures.put("stories", stories);
            figures.put("questions", questions);
        }
        figures.put("steps", result.step());
        figures.put("tokens", result.tokens());
        figures.put("seconds", Math.round(result.seconds()));
        figures.put("length", length);
        figures.put("batch_size", batchSize);
        figures.put("learning_rate", learningRate);
        figures.put("seed", seed);
        Json.write(output.resolve("pretraining.json"), figures);
        System.out.println("wrote " + output);
    }

    /// `exp` of the mean loss per token, the end token included and the beginning apart.
    private static double perplexity(CausalLm model, List<int[]> texts) {
        double sum = 0;
        long tokens = 0;
        for (int[] ids : texts) {
            try (var _ = Scope.open()) {
                int[][] row = {ids};
                sum += CausalLoss.losses(model, Inputs.of(row, null), row).sum().item();
                tokens += ids.length - 1;
            }
        }
        return Math.exp(sum / tokens);
    }

    private static int[] afterFirst(int[] ids) {
        return IntStream.range(1, ids.length).map(i -> ids[i]).toArray();
    }

    /// A line now and then.
    private static final class Progress implements TrainListener {
        @Override
        public void onStep(StepReport r) {
            if (r.step() % 100 == 0 || r.step() == 1) {
                System.out.printf("step %d/%d  loss %.4f  %.0f tokens/s%n", r.step(), r.steps(), r.loss(), r.tokensPerSecond());
            }
        }
    }
}
