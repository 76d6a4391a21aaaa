package dev.graft.bench.model;

import dev.graft.bench.Work;
import dev.graft.models.Block;
import dev.graft.models.CausalLm;
import dev.graft.models.LoadOptions;
import dev.graft.models.ModelConfig;
import dev.graft.models.ModelLoader;
import dev.graft.models.generate.GenerationConfig;
import dev.graft.models.generate.GenerationConfig.EarlyStopping;
import dev.graft.models.generate.GenerationConfig.LengthNorm;
import dev.graft.models.generate.Session;
import dev.graft.models.io.Json;
import dev.graft.peft.Adapter;
import dev.graft.peft.AdapterBank;
import dev.graft.peft.Adapters;
import dev.graft.peft.Graft;
import dev.graft.peft.Peft;
import dev.graft.tensor.Scope;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.stream.IntStream;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.TearDown;

/// Tenants of one frozen backbone, each with an adapter of its own and a prompt of 32 tokens: what it takes to go on with all of them together, in turn with as many without adapters. Nothing is merged.
///
/// ```
/// graft bench 'TenantsBench|PeakBench'                            the 159 M-parameter shape of DecodeBench, in bf16
/// graft bench 'TenantsBench|PeakBench' -p model=DIR               any checkpoint
/// ```
/// Adapters take about as many parameters as PEDRO with r = 12 does; (IA)³ has no size and takes what it takes. tokens/s count those of all tenants, a beam search's one by one.
public class TenantsBench extends DecodingInTurns {
    private static final List<String> SEVEN = List.of("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj");

    /// Its folder; the shape of [DecodeBench] without one.
    @Param("159M")
    public String model;

    /// The adapter that every tenant has. JMH goes through parameters in the order of their names: all of these come before the next setting, in the same phase of the machine.
    @Param({"none", "ia3", "pedro", "lora-qvu", "lora-all"})
    public String tuning;

    @Param({"1", "8", "64"})
    public int tenants;

    @Param({"1", "3"})
    public int beams;

    /// Generated behind each prompt; the first comes with reading it.
    @Param("16")
    public int tokens;

    private CausalLm backbone;
    private AdapterBank bank;
    private Path folder;
    private List<String> names;
    private List<int[]> prompts;

    @Setup
    public void build() throws IOException {
        try (var _ = Scope.open()) {
            backbone = model.equals("159M") ? RandomModels.decoding("bf16") : ModelLoader.load(Path.of(model), LoadOptions.DEFAULT);
        }
        bank = new AdapterBank(backbone, 64L << 30);
        bank.keepPrompts(64L << 30);                                             // they are read once
        names = Collections.nCopies(tenants, null);
        if (!tuning.equals("none")) {
            folder = Files.createTempDirectory("tenant");
            try (Peft peft = Peft.attach(backbone, adapter(tuning, backbone))) {
                peft.save(folder);
            }
            names = IntStream.range(0, tenants).mapToObj(i -> "tenant " + i).toList();
            names.forEach(name -> bank.register(name, folder));                  // a copy in memory for each
            names.forEach(bank::load);
        }
        SplittableRandom random = new SplittableRandom(1);
        prompts = IntStream.range(0, tenants).mapToObj(_ -> random.ints(PROMPT, 3, backbone.config().vocab()).toArray()).toList();
    }

    /// The adapter of a name, as large as PEDRO's default.
    private static Adapter adapter(String name, CausalLm model) {
        Adapter pedro = Adapters.named("pedro").defaults();
        return switch (name) {
            case "pedro" -> pedro;
            case "ia3" -> Adapters.named("ia3").defaults();
            case "lora-qvu" -> lora(List.of("q_proj", "v_proj", "up_proj"), model, Graft.plan(model, pedro).count());
            case "lora-all" -> lora(SEVEN, model, Graft.plan(model, pedro).count());
            default -> throw new IllegalArgumentException("no adapter '" + name + "'; there are none, ia3, pedro, lora-qvu, lora-all");
        };
    }

    /// Of the rank whose number of parameters is nearest.
    private static Adapter lora(List<String> targets, CausalLm model, long budget) {
        long perRank = Graft.plan(model, Adapters.of("lora", Map.of("r", 1, "target_modules", targets))).count();
        return Adapters.of("lora", Map.of("r", Math.max(1, Math.round((double) budget / perRank)), "target_modules", targets));
    }

    @Override
    List<int[]> prompts() {
        return prompts;
    }

    @Override
    GenerationConfig config() {
        return GenerationConfig.defaults().withMaxNewTokens(tokens).withEosIds(List.of()).withBeams(beams, 1, EarlyStopping.NEVER,
                LengthNorm.GENERATED);
    }

    @Override
    Session open() {
        return bank.with(names).open(prompts, tokens);
    }

    @Override
    Session openBaseline() {
        return bank.with(Collections.nCopies(tenants, null)).open(prompts, tokens);
    }

    /// Every weight once for all rows, adapters once for all rows of a tenant, vectors and the cache for each row.
    @Override
    public Work work() {
        try (CausalLm empty = model.equals("159M") ? RandomModels.decodingShape()
                : ModelLoader.empty(Json.read(Path.of(model).resolve("config.json")))) {
            ModelConfig c = empty.config();
            double blocks = empty.blocks().stream().flatMap(Block::parameters).mapToDouble(p -> p.shape().size()).sum();
            double head = (double) c.hidden() * c.vocab();
            double rows = (double) tenants * beams, seen = PROMPT + tokens / 2.0, width = c.keyValueHeads() * c.headDim();
            double cache = 2 * 4 * c.layers() * width * seen;
            double attention = 4 * c.layers() * c.heads() * c.headDim() * seen;
            double own = tuning.equals("none") ? 0 : 4.0 * Graft.plan(empty, adapter(tuning, empty)).count();
            boolean isLora = tuning.startsWith("lora");
            double vectors = tuning.equals(
                    "pedro") ? 4.0 * c.layers() * (c.heads() * c.headDim() + width + empty.blocks().getFirst().parameters()
                            .filter(p -> p.name().endsWith("up_proj.weight")).findFirst().orElseThrow().shape().dim(0)) : own;
            double adapters = isLora ? tenants * own : rows * vectors;
            int steps = tokens - 1;
            return new Work(steps * rows * (2 * (blocks + head) + attention + adapterFlops(empty)),
                    steps * (2 * (blocks + head) + rows * cache + adapters), (double) steps * tenants);
        }
    }

    /// Of one token of one row.
    private double adapterFlops(CausalLm empty) {
        if (tuning.equals("none")) return 0;
        Graft plan = Graft.plan(empty, adapter(tuning, empty));
        if (tuning.startsWith("lora")) return 2.0 * plan.count();
        if (tuning.equals("ia3")) return plan.count();
        return plan.parameters().stream().filter(p -> p.name().endsWith("pedro.up.bias")).mapToDouble(p -> p.shape().size()).sum();
    }

    @Override
    public Map<String, String> baseline() {
        return Map.of("tuning", "none");
    }

    @TearDown
    public void free() throws IOException {
        bank.close();
        backbone.close();
        if (folder != null) RandomModels.delete(folder);
    }
}
