package dev.graft.bench.model;

import dev.graft.bench.Work;
import dev.graft.models.CausalLm;
import dev.graft.models.generate.GenerationConfig;
import dev.graft.models.generate.Session;
import dev.graft.models.generate.StepModel;
import dev.graft.models.proxy.ProxyTuning;
import dev.graft.peft.AdapterBank;
import dev.graft.peft.AdapterContrast;
import dev.graft.peft.Adapters;
import dev.graft.peft.Peft;
import dev.graft.tensor.Scope;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.TearDown;

/// What steering costs: 16 tokens behind prompts of 32, by the 159 M-parameter LLaMA of [DecodeBench] alone, and steered by two of 20 M or by one of these with and without an adapter.
public class ProxyBench extends DecodingInTurns {
    private static final int TOKENS = 16;

    /// Expert and anti-expert: none, two models, or one and a LoRA for it.
    @Param({"none", "models", "adapter"})
    public String steering;

    @Param({"1", "8"})
    public int rows;

    private final List<AutoCloseable> opened = new ArrayList<>();
    private CausalLm large;
    private StepModel model;
    private List<int[]> prompts;
    private Path folder;

    @Setup
    public void build() throws IOException {
        prompts = Collections.nCopies(rows, Arrays.copyOf(RandomModels.prompt(), PROMPT));
        try (var _ = Scope.open()) {
            large = opened(RandomModels.decoding("bf16"));
            model = switch (steering) {
                case "none" -> large;
                case "models" -> ProxyTuning.of(large, opened(RandomModels.small("bf16")), opened(RandomModels.small("bf16")));
                case "adapter" -> ProxyTuning.of(large, AdapterContrast.of(bank(opened(RandomModels.small("bf16"))), "expert"));
                default -> throw new IllegalArgumentException("no steering '" + steering + "'; there are none, models, adapter");
            };
        }
    }

    private <T extends AutoCloseable> T opened(T resource) {
        opened.addFirst(resource);
        return resource;
    }

    private AdapterBank bank(CausalLm small) throws IOException {
        folder = Files.createTempDirectory("expert");
        try (Peft peft = Peft.attach(small, Adapters.named("lora").defaults())) {
            peft.save(folder);
        }
        AdapterBank bank = opened(new AdapterBank(small, 64L << 20));
        bank.register("expert", folder);
        bank.load("expert");
        return bank;
    }

    @Override
    List<int[]> prompts() {
        return prompts;
    }

    @Override
    GenerationConfig config() {
        return GenerationConfig.defaults().withMaxNewTokens(TOKENS).withEosIds(List.of());
    }

    @Override
    Session open() {
        return model.open(prompts, TOKENS);
    }

    @Override
    Session openBaseline() {
        return large.open(prompts, TOKENS);
    }

    /// Every weight once for all texts; of small models twice, or once where an adapter tells them apart.
    @Override
    public Work work() {
        double large = RandomModels.DECODING_BLOCKS + RandomModels.DECODING_HEAD;
        double small = steering.equals("none") ? 0 : RandomModels.SMALL;
        int steps = TOKENS - 1;                                                  // the first comes with the prompt
        return new Work(steps * rows * 2 * (large + 2 * small), steps * 2 * (large + (steering.equals("models") ? 2 : 1) * small),
                (double) steps * rows);
    }

    @Override
    public Map<String, String> baseline() {
        return Map.of("steering", "none");
    }

    @TearDown
    public void free() throws Exception {
        for (AutoCloseable resource : opened) resource.close();
        if (folder != null) RandomModels.delete(folder);
    }
}
