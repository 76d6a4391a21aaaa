package dev.graft.peft.cli;

import dev.graft.models.CausalLm;
import dev.graft.models.ModelLoader;
import dev.graft.models.io.Json;
import dev.graft.models.text.Tokenizer;
import dev.graft.optim.Schedule;
import dev.graft.peft.Adapter;
import dev.graft.peft.Peft;
import dev.graft.peft.Targets;
import dev.graft.peft.eval.EvalConfig;
import dev.graft.peft.eval.EvalResult;
import dev.graft.peft.eval.Evaluator;
import dev.graft.peft.eval.Item;
import dev.graft.peft.eval.Items;
import dev.graft.peft.eval.PromptTemplate;
import dev.graft.peft.eval.Task;
import dev.graft.peft.method.Bottleneck;
import dev.graft.peft.method.Lora;
import dev.graft.peft.method.Scaling;
import dev.graft.peft.tinyworld.WordProblems;
import dev.graft.peft.train.CausalLoss;
import dev.graft.peft.train.Example;
import dev.graft.peft.train.ExampleEncoder;
import dev.graft.peft.train.LossCurve;
import dev.graft.peft.train.MetricsLog;
import dev.graft.peft.train.ProgressDisplay;
import dev.graft.peft.train.TrainConfig;
import dev.graft.peft.train.TrainResult;
import dev.graft.peft.train.Trainer;
import dev.graft.tensor.Backends;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.stream.Collectors;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/// The whole way in three minutes: a small model that cannot solve word problems, three adapters that teach it, the same evaluation for all four.
@Command(name = "quickstart", mixinStandardHelpOptions = true, sortOptions = false,
        description = "Fine-tunes a small model with LoRA, a series and a parallel adapter, and evaluates all four.", footer = {
                "",
                "The model comes with Graft, which pretrained it itself ('graft pretrain'). The task is word problems that need two sums; none of the numbers in an evaluation problem occur together in training."})
final class Quickstart implements Callable<Integer> {
    private static final List<String> MODEL = List.of("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json",
            "pretraining.json");
    private static final Task TASK = Task.numeric("word_problems", 40, false);

    @Option(names = "--output", paramLabel = "DIR", defaultValue = "graft-quickstart",
            description = "Where everything goes (default: ${DEFAULT-VALUE}).")
    private Path output;

    @Option(names = "--steps", paramLabel = "N", defaultValue = "600",
            description = "Training steps per adapter (default: ${DEFAULT-VALUE}).")
    private int steps;

    @Option(names = "--problems", paramLabel = "N", defaultValue = "200", description = "Evaluation problems (default: ${DEFAULT-VALUE}).")
    private int problems;

    @Option(names = "--seed", paramLabel = "N", defaultValue = "1",
            description = "Of problems, first weights and order (default: ${DEFAULT-VALUE}).")
    private long seed;

    /// One line of the table.
    private record Row(String adapter, EvalResult result, long trainable, double tokensPerSecond, long memory) {
        Map<String, Object> json() {
            Map<String, Object> json = new LinkedHashMap<>();
            json.put("adapter", adapter);
            json.put("accuracy", result.accuracy());
            json.put("correct", result.correct());
            json.put("problems", result.items().size());
            json.put("majority_answer_baseline", result.majority().share());
            json.put("trainable_parameters", trainable);
            json.put("training_tokens_per_second", Math.round(tokensPerSecond));
            json.put("peak_tensor_bytes", memory);
            return json;
        }
    }

    @Override
    public Integer call() throws IOException {
        long start = System.nanoTime();
        Path base = output.resolve("model");
        unpack(base);
        List<Item> training = WordProblems.standard(seed).training(16 * steps);
        List<Item> evaluation = WordProblems.standard(seed).evaluation(problems);
        requireDisjoint(training, evaluation);
        Items.write(output.resolve("train.json"), training);
        Items.write(output.resolve("test.json"), evaluation);
        List<Row> rows = new ArrayList<>();
        try (CausalLm model = ModelLoader.load(base); Tokenizer tokenizer = Tokenizer.load(base)) {
            System.out.printf(Locale.ROOT, "A LLaMA of %,d parameters, %,d training and %,d evaluation problems such as:%n  %s%n  %s%n%n",
                    model.parameterCount(), training.size(), evaluation.size(), training.getFirst().instruction(),
                    training.getFirst().output());
            rows.add(new Row("none", evaluate("none", model, tokenizer, evaluation), 0, 0, Backends.best().memory().peak()));
            List<Example> examples = new ExampleEncoder(tokenizer, PromptTemplate.SHORT, 256, false).encode(training);
            for (Map.Entry<String, Adapter> entry : adapters().entrySet()) {
                rows.add(tune(entry.getKey(), entry.getValue(), model, tokenizer, examples, evaluation));
            }
        }
        report(rows, (System.nanoTime() - start) / 1e9);
        return 0;
    }

    /// The three families. The series adapter sits in the MLP alone, where this task is hard to learn, and gets the widest bottleneck.
    private static Map<String, Adapter> adapters() {
        Map<String, Adapter> adapters = new LinkedHashMap<>();
        adapters.put("lora", Lora.of(16, 32, "q_proj", "k_proj", "v_proj", "up_proj", "down_proj"));
        adapters.put("series", bottleneck(128, false, "gate_proj", "up_proj", "down_proj"));
        adapters.put("parallel", bottleneck(32, true, "q_proj", "k_proj", "v_proj", "up_proj", "down_proj"));
        return adapters;
    }

    private static Bottleneck bottleneck(int size, boolean parallel, String... places) {
        return new Bottleneck(size, "tanh", 0, Scaling.by(1), parallel, false, "mam_adapter", "none", Targets.of(places));
    }

    private Row tune(String name, Adapter adapter, CausalLm model, Tokenizer tokenizer, List<Example> examples, List<Item> evaluation) {
        Path folder = output.resolve(name);
        Path metrics = folder.resolve("metrics.jsonl");
        TrainConfig config = TrainConfig
                .with(c -> c.steps(steps).batchSize(16).microBatchSize(16).learningRate(5e-3).schedule(Schedule.Law.COSINE)
                        .warmupSteps(Math.min(20, steps)).seed(seed));
        clear(folder);
        try (Peft peft = Peft.attach(model, adapter, seed)) {
            System.out.printf("%s: %s%n", name, peft.counts());
            TrainResult result = new Trainer(config, new CausalLoss(model), peft).saving(peft::save, folder)
                    .listener(ProgressDisplay.on(System.out)).listener(new MetricsLog(metrics))
                    .listener(new LossCurve(metrics, folder.resolve("loss.png")))
                    .fit(examples, List.of());
            long memory = Backends.best().memory().peak();
            return new Row(name, evaluate(name, model, tokenizer, evaluation), peft.counts().trainable(), result.tokensPerSecond(), memory);
        }
    }

    private EvalResult evaluate(String name, CausalLm model, Tokenizer tokenizer, List<Item> items) {
        EvalResult result = Evaluator.evaluate(model, tokenizer, TASK, items,
                EvalConfig.DEFAULT.withTemplate(PromptTemplate.SHORT).withBatchSize(25),
                (_, _, _) -> {
                });
        System.out.printf(Locale.ROOT, "%s: %d of %d right%n%n", name, result.correct(), items.size());
        return result;
    }

    private void report(List<Row> rows, double seconds) {
        System.out.printf(
                "| adapter  | accuracy | always the most frequent answer | trainable parameters | training tokens/s | tensor memory, peak |%n");
        System.out.printf(
                "| -------- | -------- | ------------------------------- | -------------------- | ----------------- | ------------------- |%n");
        for (Row r : rows) {
            System.out.printf(Locale.ROOT, "| %-8s | %6.1f %% | %29.1f %% | %,20d | %17s | %,16.1f MB |%n", r.adapter,
                    100 * r.result.accuracy(),
                    100 * r.result.majority().share(), r.trainable,
                    r.trainable == 0 ? "" : String.format(Locale.ROOT, "%,.0f", r.tokensPerSecond), r.memory / 1e6);
        }
        Json.write(output.resolve("quickstart.json"),
                Map.of("results", rows.stream().map(Row::json).toList(), "seed", seed, "steps", steps, "seconds", seconds));
        System.out.printf(Locale.ROOT, """

                %.0f s. In %s: the adapters with their metrics and loss curves, train.json, test.json, quickstart.json.

                Next:
                  ./graft generate --model %2$s/model --adapter %2$s/lora --max-new-tokens 40 $'### Instruction:\\n%3$s\\n\\n### Response:\\n'
                  ./graft eval --model %2$s/model --adapter %2$s/series --data %2$s/test.json --kind numeric --template short --output %2$s/eval
                  ./graft tune --model %2$s/model --data %2$s/train.json --method lora --output my-adapter
                  ./graft merge --model %2$s/model --adapter %2$s/lora --output merged
                """, seconds, output, "Tom has 3 apples. Tom finds 4 more. How many apples does Tom have now?");
    }

    // ---- files ----

    private void unpack(Path folder) throws IOException {
        Files.createDirectories(folder);
        for (String name : MODEL) {
            try (InputStream in = Quickstart.class.getResourceAsStream("/dev/graft/peft/quickstart/" + name)) {
                if (in == null) throw new IOException("the quickstart's " + name + " is not in this build of Graft");
                Files.copy(in, folder.resolve(name), StandardCopyOption.REPLACE_EXISTING);
            }
        }
    }

    /// What an earlier quickstart left there.
    private static void clear(Path folder) {
        try {
            if (!Files.isDirectory(folder)) return;
            try (var files = Files.walk(folder)) {
                for (Path p : files.sorted((a, b) -> b.compareTo(a)).toList()) Files.delete(p);
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static void requireDisjoint(List<Item> training, List<Item> evaluation) {
        Set<String> seen = training.stream().map(Quickstart::normalised).collect(Collectors.toSet());
        for (Item item : evaluation) {
            if (seen.contains(normalised(item)))
                throw new IllegalStateException("an evaluation problem is among the training problems: " + item.instruction());
        }
    }

    private static String normalised(Item item) {
        return item.instruction().toLowerCase(Locale.ROOT).replaceAll("\\W+", " ").strip();
    }
}
