package dev.graft.peft.cli;

import dev.graft.models.CausalLm;
import dev.graft.models.LoadOptions;
import dev.graft.models.ModelLoader;
import dev.graft.models.ModelWriter;
import dev.graft.models.io.Json;
import dev.graft.models.text.Tokenizer;
import dev.graft.nn.Parameter;
import dev.graft.peft.Adapter;
import dev.graft.peft.Adapters;
import dev.graft.peft.Counts;
import dev.graft.peft.Peft;
import dev.graft.peft.eval.Item;
import dev.graft.peft.eval.Items;
import dev.graft.peft.eval.PromptTemplate;
import dev.graft.peft.method.AdapterFusion;
import dev.graft.peft.train.CausalLoss;
import dev.graft.peft.train.Example;
import dev.graft.peft.train.ExampleEncoder;
import dev.graft.peft.train.LossCurve;
import dev.graft.peft.train.MetricsLog;
import dev.graft.peft.train.ProgressDisplay;
import dev.graft.peft.train.Saveable;
import dev.graft.peft.train.Split;
import dev.graft.peft.train.StopSignal;
import dev.graft.peft.train.TensorBoard;
import dev.graft.peft.train.TokenRewards;
import dev.graft.peft.train.TrainConfig;
import dev.graft.peft.train.TrainResult;
import dev.graft.peft.train.Trainee;
import dev.graft.peft.train.Trainer;
import dev.graft.tensor.Backends;
import dev.graft.tensor.Scope;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.stream.Stream;
import picocli.CommandLine.Command;
import picocli.CommandLine.IModelTransformer;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/// Trains an adapter, or a whole model, on records of instructions and responses.
@Command(name = "tune", mixinStandardHelpOptions = true, sortOptions = false, modelTransformer = Tune.Options.class,
        description = "Trains an adapter on a frozen model, or all of the model.", footer = {
                "",
                "Each method has options of its own, such as --r 16 or --target-modules q_proj,v_proj: graft methods NAME lists them.",
                "Ctrl-C ends a run with a checkpoint; the same command with --resume goes on from there, to the same bits. Example:",
                "  graft tune --model DIR --data records.json --method lora --r 16 --lora-alpha 32 --output DIR --validation-size 120"})
final class Tune implements Callable<Integer> {
    /// Where the settings of a run come from.
    private enum Recipe {
        GRAFT, LLM_ADAPTERS;

        TrainConfig config() {
            return this == GRAFT ? TrainConfig.DEFAULT : TrainConfig.LLM_ADAPTERS;
        }
    }

    /// The options of training and of all methods.
    static final class Options implements IModelTransformer {
        @Override
        public CommandSpec transform(CommandSpec command) {
            return new MethodOptions().transform(new TrainOptions().transform(command));
        }
    }

    @Spec
    private CommandSpec spec;

    @Mixin
    private ModelOptions options;

    @Option(names = "--data", required = true, paramLabel = "FILE",
            description = "Records to learn: .json or .jsonl, plain or .gz, with the fields instruction, input (may be empty) and output; "
                    + "original, which output was edited from, or weights, a number per token of output, are heeded.")
    private Path data;

    @Option(names = "--method", paramLabel = "NAME",
            description = "Kind of a new adapter: graft methods lists them. Without it, --adapter is trained on.")
    private String method;

    @Option(names = "--fuse", paramLabel = "DIR", split = ",", converter = ChosenAdapter.Reader.class,
            description = "Train an AdapterFusion of these adapters, two or more, which stay as they are. Copies of them come with it.")
    private List<ChosenAdapter> fuse = List.of();

    @Option(names = "--full",
            description = "Train all weights of the model itself: --output becomes a model. Needs --weights F32; with --optimizer mezo a model stored as F16 may stay so.")
    private boolean full;

    @Option(names = "--output", required = true, paramLabel = "DIR",
            description = "Where the adapter, or the model, goes, with checkpoints, metrics.jsonl, TensorBoard's events and the loss curve.")
    private Path output;

    @Option(names = "--resume", description = "Go on from the last checkpoint in --output; from the beginning when there is none yet.")
    private boolean resume;

    @Option(names = "--validation-size", paramLabel = "N", defaultValue = "0",
            description = "Records of --data to hold out for validation (default: ${DEFAULT-VALUE}).")
    private int validationSize;

    @Option(names = "--validation-data", paramLabel = "FILE", description = "Records to validate on instead.")
    private Path validationData;

    @Option(names = "--template", paramLabel = "NAME",
            description = "The text around a record: ${COMPLETION-CANDIDATES} (default: CLEAN; COMPAT in LLM-Adapters' recipe).")
    private PromptTemplate template;

    @Option(names = "--cutoff-len", paramLabel = "N", defaultValue = "256",
            description = "Cut texts to this many tokens (default: ${DEFAULT-VALUE}).")
    private int cutoffLen;

    @Option(names = "--train-on-inputs", arity = "0..1", fallbackValue = "true", paramLabel = "BOOLEAN",
            description = "Learn the prompt as well as the response (default: false; true in LLM-Adapters' recipe).")
    private Boolean trainOnInputs;

    @Option(names = "--inserted-weight", paramLabel = "X", defaultValue = "1",
            description = "Where a record has an original of its output: what a token counts that the edit inserted; one that was kept counts 1 (default: ${DEFAULT-VALUE}).")
    private double insertedWeight;

    @Option(names = "--removed-weight", paramLabel = "X", defaultValue = "1",
            description = "How much it counts that a token the edit removed becomes unlikely; 0: not at all (default: ${DEFAULT-VALUE}).")
    private double removedWeight;

    @Option(names = "--recipe", paramLabel = "NAME", defaultValue = "GRAFT",
            description = "Where defaults come from: ${COMPLETION-CANDIDATES}. LLM_ADAPTERS trains as that project's script does (default: ${DEFAULT-VALUE}).")
    private Recipe recipe;

    @Option(names = "--config", paramLabel = "FILE",
            description = "Settings as JSON, batch_size for --batch-size; options given here come before.")
    private Path configFile;

    private record Data(List<Example> train, List<Example> validation) {
    }

    @Override
    public Integer call() {
        TrainConfig config = TrainOptions.read(spec, configFile == null ? recipe.config() : recipe.config().with(Json.read(configFile)));
        long kinds = Stream.of(method != null, !options.adapters.isEmpty(), !fuse.isEmpty(), full).filter(given -> given).count();
        if (kinds != 1 || options.adapters.size() > 1 || options.adapters.stream().anyMatch(a -> a.weight() != 1)) {
            throw new ParameterException(spec.commandLine(),
                    "give --method for a new adapter, or --adapter, one and without a weight, to train it further, or --fuse for a fusion of several, or --full for the model itself");
        }
        if (validationSize > 0 && validationData != null) {
            throw new ParameterException(spec.commandLine(),
                    "--validation-size takes records from --data and --validation-data brings others; give one of them");
        }
        if (full && output.toAbsolutePath().normalize().equals(options.model.toAbsolutePath().normalize())) {
            throw new ParameterException(spec.commandLine(), "--output is the folder of --model, which training reads; name another");
        }
        if (method == null) MethodOptions.requireNone(spec, full ? "--full" : fuse.isEmpty() ? "--adapter" : "--fuse");
        Adapter adapter = full ? null : adapter();
        PrintWriter out = spec.commandLine().getOut();
        try (Tokenizer tokenizer = Tokenizer.load(options.model);
                CausalLm model = ModelLoader.load(options.model, LoadOptions.DEFAULT.withWeights(options.weights));
                Subject subject = full ? whole(model, config) : adapted(model, adapter, config.seed())) {
            Data examples = data(tokenizer, model, config, out);
            out.println(subject.counts());
            out.flush();
            Trainer trainer = new Trainer(config, new CausalLoss(model), subject.trainee())
                    .saving(subject.product(), output, about(adapter))
                    .listener(new MetricsLog(output.resolve("metrics.jsonl"))).listener(new TensorBoard(output.resolve("tensorboard")))
                    .listener(new LossCurve(output.resolve("metrics.jsonl"), output.resolve("loss.png")))
                    .listener(ProgressDisplay.on(System.err));
            try (var _ = StopSignal.of(trainer); var _ = Scope.open()) {
                TrainResult result = resume ? trainer.resume(examples.train, examples.validation)
                        : trainer.fit(examples.train, examples.validation);
                report(result, model, subject, examples, config, out);
            }
            return 0;
        }
    }

    /// What a run trains.
    ///
    /// @param peft null where it is the model itself
    private record Subject(Trainee trainee, Saveable product, Counts counts, Peft peft) implements AutoCloseable {
        @Override
        public void close() {
            if (peft != null) peft.close();
        }
    }

    private Subject whole(CausalLm model, TrainConfig config) {
        List<Parameter> parameters = model.parameters().toList();
        for (Parameter p : parameters) {
            String form = p.weight().format();
            boolean trains = form.equals("f32") || form.equals("f16") && config.optimizer() == TrainConfig.Rule.MEZO;
            if (!trains) {
                throw new ParameterException(spec.commandLine(),
                        "--full with --optimizer %s cannot train %s, which is held as %s; add --weights F32%s"
                                .formatted(config.optimizer().name().toLowerCase(Locale.ROOT), p.name(), form,
                                        form.equals("f16") ? ", or take --optimizer mezo, which trains f16, too" : ""));
            }
            p.trainable(true);
        }
        long count = model.parameterCount();
        return new Subject(Trainee.of(parameters), f -> {
            ModelWriter.save(model, f);
            ModelWriter.copyCompanions(options.model, f);
        }, new Counts(count, count), null);
    }

    private Subject adapted(CausalLm model, Adapter adapter, long seed) {
        Peft peft = attached(model, adapter, seed);
        return new Subject(peft, f -> peft.save(f, options.model.toString()), peft.counts(), peft);
    }

    /// What is trained, as it is described.
    private Adapter adapter() {
        if (method != null) return readable(MethodOptions.read(spec, method));
        if (fuse.isEmpty()) return Adapters.read(options.adapters.getFirst().folder());
        if (fuse.size() < 2 || fuse.stream().anyMatch(a -> a.weight() != 1)) {
            throw new ParameterException(spec.commandLine(), "--fuse needs the folders of two or more adapters, none with a weight, got "
                    + fuse.stream().map(a -> a.weight() == 1 ? a.folder() : a.folder() + "@" + a.weight()).toList());
        }
        return AdapterFusion.DEFAULT.with("adapters", fuse.stream().map(ChosenAdapter::name).toList());
    }

    private Peft attached(CausalLm model, Adapter adapter, long seed) {
        if (method != null) return Peft.attach(model, adapter, seed);
        if (fuse.isEmpty()) return ChosenAdapter.attach(model, options.adapters);
        Peft peft = ChosenAdapter.attach(model, fuse);
        try {
            peft.fuse(Peft.DEFAULT, adapter.uses(), seed);
            return peft;
        } catch (Throwable t) {
            peft.close();
            throw t;
        }
    }

    /// A prompt that starts from a text reads it with the model's tokenizer, unless another is named.
    private Adapter readable(Adapter adapter) {
        boolean starts = "TEXT".equals(adapter.fields().get("prompt_tuning_init"))
                && adapter.fields().get("tokenizer_name_or_path") == null;
        return starts ? adapter.with("tokenizer_name_or_path", options.model.toString()) : adapter;
    }

    private Data data(Tokenizer tokenizer, CausalLm model, TrainConfig config, PrintWriter out) {
        boolean llmAdapters = recipe == Recipe.LLM_ADAPTERS;
        PromptTemplate around = template != null ? template : llmAdapters ? PromptTemplate.COMPAT : PromptTemplate.CLEAN;
        if (cutoffLen > model.config().maxPositions()) {
            throw new ParameterException(spec.commandLine(), "--cutoff-len must be at most %d, the length the model was made for, got %d"
                    .formatted(model.config().maxPositions(), cutoffLen));
        }
        ExampleEncoder encoder = new ExampleEncoder(tokenizer, around, cutoffLen, trainOnInputs != null ? trainOnInputs : llmAdapters,
                new TokenRewards(insertedWeight, removedWeight));
        List<Item> items = Items.forTraining(data);
        Split<Item> split = validationData == null ? split(items, config) : new Split<>(items, Items.forTraining(validationData));
        Data all = new Data(encoder.encode(split.train()), encoder.encode(split.validation()));
        Data usable = new Data(usable(all.train), usable(all.validation));
        int left = all.train.size() + all.validation.size() - usable.train.size() - usable.validation.size();
        out.printf(Locale.ROOT, "%,d records to train on, %,d to validate on%s%n", usable.train.size(), usable.validation.size(),
                left == 0 ? "" : "; %,d left out, of whose response --cutoff-len %d leaves nothing that counts".formatted(left, cutoffLen));
        if (usable.train.isEmpty())
            throw new ParameterException(spec.commandLine(),
                    "--cutoff-len %d leaves nothing to learn; raise it, and see that not all weights are 0".formatted(cutoffLen));
        requireVocabulary(usable, model);
        return usable;
    }

    private Split<Item> split(List<Item> items, TrainConfig config) {
        try {
            return Split.of(items, validationSize, config.seed());
        } catch (IllegalArgumentException e) {
            throw new ParameterException(spec.commandLine(), "--validation-size: " + e.getMessage(), e);
        }
    }

    private static List<Example> usable(List<Example> examples) {
        return examples.stream().filter(e -> e.counted() > 0).toList();
    }

    private void requireVocabulary(Data data, CausalLm model) {
        int largest = Stream.concat(data.train.stream(), data.validation.stream()).flatMapToInt(e -> java.util.Arrays.stream(e.ids())).max()
                .getAsInt();
        if (largest >= model.config().vocab()) {
            throw new IllegalArgumentException(
                    "%s: the tokenizer gives the id %d, the model's vocabulary has %d; they do not belong together"
                            .formatted(options.model, largest, model.config().vocab()));
        }
    }

    /// What makes the run besides its settings and its data.
    private Map<String, Object> about(Adapter adapter) {
        Map<String, Object> about = new LinkedHashMap<>();
        if (adapter == null) {
            about.put("trained", "model");
        } else {
            about.putAll(adapter.fields());
            about.put("peft_type", adapter.peftType());
        }
        about.put("weights", options.weights.name());
        return about;
    }

    private void report(TrainResult result, CausalLm model, Subject subject, Data examples, TrainConfig config, PrintWriter out) {
        Map<String, Object> json = new LinkedHashMap<>();
        json.put("end", result.end().name().toLowerCase(Locale.ROOT));
        json.put("step", result.step());
        json.put("loss", result.loss());
        json.put("best_validation_loss", result.best() == null ? null : result.best().loss());
        json.put("best_step", result.best() == null ? null : result.best().step());
        json.put("tokens", result.tokens());
        json.put("seconds", result.seconds());
        json.put("tokens_per_second", result.tokensPerSecond());
        json.put("model_parameters", model.parameterCount());
        json.put("trainable_parameters", subject.counts().trainable());
        json.put("peak_tensor_bytes", Backends.best().memory().peak());
        json.put("records", examples.train.size());
        json.put("method", full ? "full" : method);
        if (!full) json.put("adapter", subject.peft.adapter(Peft.DEFAULT).adapter().fields());
        json.put("model", options.model.toString());
        json.put("data", data.toString());
        json.put("settings", config.toMap());
        Json.write(output.resolve("training.json"), json);
        String best = result.best() == null ? ""
                : String.format(Locale.ROOT, "; best validation loss %.4f after step %d", result.best().loss(), result.best().step());
        out.println(switch (result.end()) {
            case FINISHED -> "finished after step " + result.step() + best;
            case EARLY -> "stopped after step " + result.step() + ", as the validation loss no longer fell" + best;
            case INTERRUPTED -> "interrupted after step " + result.step() + "; the same command with --resume goes on from there";
        });
        if (result.end() != TrainResult.End.INTERRUPTED) out.println("wrote " + output);
        out.flush();
    }
}
