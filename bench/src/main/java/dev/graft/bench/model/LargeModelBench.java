package dev.graft.bench.model;

import dev.graft.bench.Work;
import dev.graft.models.Block;
import dev.graft.models.CausalLm;
import dev.graft.models.LoadOptions;
import dev.graft.models.LoadOptions.Weights;
import dev.graft.models.ModelLoader;
import dev.graft.models.generate.Session;
import dev.graft.models.io.Checkpoint;
import dev.graft.models.io.Entry;
import dev.graft.models.io.Json;
import dev.graft.peft.Adapters;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Level;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OperationsPerInvocation;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/// A checkpoint of any size, used where its file is mapped: what it takes in time and memory to open it, read 64 tokens, decode 32 more, and make a training step.
///
/// ```
/// graft init --shape llama-7b --output DIR
/// graft bench LargeModelBench -p model=DIR
/// graft bench LargeModelBench.step -p model=DIR -p weights=Q8 -p method=lora,series,ia3       on a base of int8 blocks
/// ```
@State(Scope.Benchmark)
@BenchmarkMode(Mode.SingleShotTime)
@OutputTimeUnit(TimeUnit.MILLISECONDS)
@Fork(3)
@Warmup(iterations = 1)
@Measurement(iterations = 2)
public class LargeModelBench implements Work.PerMethod {
    private static final int PROMPT = 64;
    private static final int TOKENS = 32;

    /// Its folder.
    @Param("none")
    public String model;

    /// How the weights are held: see [Weights].
    @Param("STORED")
    public Weights weights;

    private CausalLm opened() {
        return ModelLoader.load(folder(), LoadOptions.DEFAULT.withWeights(weights));
    }

    private Path folder() {
        if (!Files.isDirectory(Path.of(model))) {
            throw new IllegalArgumentException("there is no model '" + model + "'; give one by -p model=DIR (graft init writes one)");
        }
        return Path.of(model);
    }

    private static int[] prompt(CausalLm model) {
        return new SplittableRandom(1).ints(PROMPT, 0, model.config().vocab()).toArray();
    }

    /// The model, open.
    @State(Scope.Benchmark)
    public static class Opened {
        private CausalLm model;
        private int[] prompt;

        @Setup
        public void open(LargeModelBench bench) {
            model = bench.opened();
            prompt = prompt(model);
        }

        @TearDown
        public void close() {
            model.close();
        }
    }

    /// A prompt that has been read.
    @State(Scope.Benchmark)
    public static class Prompted {
        private Session session;

        @Setup(Level.Invocation)
        public void read(Opened opened) {
            session = opened.model.open(List.of(opened.prompt), TOKENS + 1);
        }

        @TearDown(Level.Invocation)
        public void close() {
            session.close();
        }
    }

    /// An adapter on the model, and its optimizer.
    @State(Scope.Benchmark)
    public static class Adapted {
        /// Its method, with its defaults.
        @Param("lora")
        public String method;

        private AdapterStep run;

        @Setup
        public void attach(Opened opened) {
            run = new AdapterStep(opened.model, Adapters.named(method).defaults());
        }

        @TearDown
        public void close() {
            run.close();
        }
    }

    /// From a folder to a model that can be used, in a JVM that has done nothing yet.
    @Benchmark
    @Fork(5)
    @Warmup(iterations = 0)
    @Measurement(iterations = 1)
    public long load() {
        try (CausalLm model = opened()) {
            return model.parameterCount();
        }
    }

    /// The prompt, up to the scores of the first new token.
    @Benchmark
    public float prefill(Opened opened) {
        try (Session session = opened.model.open(List.of(opened.prompt), 1)) {
            return session.logits()[0][0];
        }
    }

    /// One token behind the prompt, chosen greedily.
    @Benchmark
    @OperationsPerInvocation(TOKENS)
    public int decode(Prompted prompted) {
        int id = 0;
        for (int i = 0; i < TOKENS; i++) {
            id = best(prompted.session.logits()[0]);
            prompted.session.advance(new int[] {id});
        }
        return id;
    }

    private static int best(float[] logits) {
        int best = 0;
        for (int i = 1; i < logits.length; i++) if (logits[i] > logits[best]) best = i;
        return best;
    }

    /// Forward, backward and AdamW over the prompt.
    @Benchmark
    public double step(Opened opened, Adapted adapted) {
        return adapted.run.step(new int[][] {opened.prompt});
    }

    @Override
    public Work workOf(String method) {
        try (CausalLm empty = ModelLoader.empty(Json.read(folder().resolve("config.json")));
                Checkpoint checkpoint = Checkpoint.open(folder())) {
            double blocks = empty.blocks().stream().flatMap(Block::parameters).mapToDouble(p -> p.shape().size()).sum();
            double head = (double) empty.head().in() * empty.head().out();
            double stored = checkpoint.entries().values().stream().mapToDouble(Entry::byteSize).sum() / empty.parameterCount();
            double width = switch (weights) {
                case STORED -> stored;
                case F32 -> 4;
                case BF16 -> 2;
                case Q8 -> 9.0 / 8;
                case NF4 -> 4.127 / 8;
            };
            return switch (method) {
                case "prefill" -> new Work(2 * (PROMPT * blocks + head), 0, PROMPT);
                case "decode" -> new Work(2 * (blocks + head), width * blocks + (weights == Weights.NF4 ? stored : width) * head, 1);
                case "step" -> new Work(2.0 * PROMPT * 2 * (blocks + head), 0, PROMPT);
                default -> new Work(0, 0);
            };
        }
    }
}
