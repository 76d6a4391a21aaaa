package dev.graft.peft;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;

/// The settings of a published training run of LLM-Adapters (its command file of December 2023 and its maintainers' answers), so that it can be run
/// again under its name.
///
/// Common to all: AdamW, learning rate linearly up over 100 steps and then down to 0, gradient norm clipped at 1, three or five epochs, 256 tokens.
///
/// @param name `math-llama-7b-lora`
/// @param data `math_10k` or `commonsense_170k`
/// @param base the model's name on the hub
/// @param method name in [Adapters]
/// @param fields of the adapter, where they are not the method's defaults
/// @param batch records per step
/// @param microBatch records at a time
/// @param learningRate highest
/// @param cutoff tokens a record is cut to
/// @param validation records held out
/// @param evaluateEvery steps between evaluations, and between checkpoints
/// @param int8 whether the base's weights were stored as int8
/// @param checkpointing whether activations were computed again in the backward pass
public record RunPreset(String name, String data, String base, String method, Map<String, Object> fields, int batch, int microBatch,
        int epochs,
        double learningRate, int cutoff, int validation, int evaluateEvery, boolean int8, boolean checkpointing) {

    public static final List<RunPreset> ALL = all();

    /// The adapter with its fields.
    public Adapter adapter() {
        return Adapters.of(method, fields);
    }

    /// The preset of this name. Throws, listing them, when there is none.
    public static RunPreset named(String name) {
        return ALL.stream().filter(p -> p.name.equals(name)).findFirst()
                .orElseThrow(() -> new AdapterException("no preset '%s'; there are %s".formatted(name,
                        ALL.stream().map(RunPreset::name).collect(Collectors.joining(", ")))));
    }

    private static List<RunPreset> all() {
        List<RunPreset> all = new ArrayList<>();
        for (String size : List.of("7b", "13b")) {
            String base = "yahma/llama-" + size + "-hf";
            boolean checkpointing = size.equals("13b");
            String name = "math-llama-" + size;
            all.add(math(name + "-lora", base, "lora", lora("llama"), 0, false, checkpointing));
            all.add(new RunPreset(name + "-prefix", "math_10k", base, "prefix", Map.of("num_virtual_tokens", 10), 8, 4, 5, 3e-2, 256,
                    120, 10, false,
                    checkpointing));
            all.add(math(name + "-series", base, "series", bottleneck("series-attn", "llama"), 120, true, checkpointing));
            all.add(math(name + "-parallel", base, "parallel", bottleneck("parallel-mlp", "llama"), 0, false, checkpointing));
        }
        String bloomz = "bigscience/bloomz-7b1";
        all.add(math("math-bloomz-7b-lora", bloomz, "lora", lora("bloom"), 0, true, false));
        all.add(math("math-bloomz-7b-series", bloomz, "series", bottleneck("series-mlp", "bloom"), 0, false, false));
        all.add(math("math-bloomz-7b-parallel", bloomz, "parallel", bottleneck("parallel-mlp", "bloom"), 0, true, false));
        String gptj = "EleutherAI/gpt-j-6b";
        all.add(math("math-gptj-6b-lora", gptj, "lora", lora("gptj"), 0, false, false));
        all.add(math("math-gptj-6b-series", gptj, "series", bottleneck("series-mlp", "gptj"), 0, false, false));
        all.add(math("math-gptj-6b-parallel", gptj, "parallel", bottleneck("parallel-mlp", "gptj"), 0, true, false));
        String llama = "yahma/llama-7b-hf";
        all.add(commonsense("commonsense-llama-7b-lora", llama, "lora", lora("llama")));
        all.add(commonsense("commonsense-llama-7b-series", llama, "series", bottleneck("series-mlp", "llama")));
        all.add(commonsense("commonsense-llama-7b-parallel", llama, "parallel", bottleneck("parallel-mlp", "llama")));
        return List.copyOf(all);
    }

    private static RunPreset math(String name, String base, String method, Map<String, Object> fields, int validation, boolean int8,
            boolean checkpointing) {
        return new RunPreset(name, "math_10k", base, method, fields, 16, 4, 3, 3e-4, 256, validation, 80, int8, checkpointing);
    }

    private static RunPreset commonsense(String name, String base, String method, Map<String, Object> fields) {
        return new RunPreset(name, "commonsense_170k", base, method, fields, 16, 4, 3, 3e-4, 256, 120, 80, false, false);
    }

    private static Map<String, Object> lora(String modelType) {
        return Map.of("r", 32, "lora_alpha", 64, "lora_dropout", 0.05, "target_modules", Placements.targets("lora-both", modelType));
    }

    /// The adapter is 256 wide by default.
    private static Map<String, Object> bottleneck(String placement, String modelType) {
        return Map.of("target_modules", Placements.targets(placement, modelType));
    }
}
