package dev.graft.peft.cli;

import dev.graft.models.io.Json;
import dev.graft.peft.train.TrainConfig;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import picocli.CommandLine.IModelTransformer;
import picocli.CommandLine.Model.ArgGroupSpec;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.ParameterException;

/// The settings of a training run as options: every one of [TrainConfig], `batch_size` as `--batch-size`, with its default.
final class TrainOptions implements IModelTransformer {
    private static final Map<String, String> DESCRIPTIONS = new LinkedHashMap<>();

    static {
        describe("steps", "Optimizer steps; 0: as many as --epochs take");
        describe("epochs", "Times the data is gone through; may be a fraction");
        describe("batch_size", "Examples per optimizer step");
        describe("micro_batch_size", "Examples that go through the model together; fewer need less memory, and the step is the same");
        describe("average", "What a step's loss is the mean of: tokens, or micro_batches as in LLM-Adapters");
        describe("drop_last", "Leave out an epoch's last batch unless it is full");
        describe("group_by_length", "Put texts of like length into one batch: less padding, a less random order");
        describe("padding", "Side on which shorter texts are filled up: left or right; the loss is the same");
        describe("pad_to_multiple_of", "Round lengths up to a multiple of this");
        describe("optimizer", "adamw, sgd, mofo, or mezo, which needs no gradients and the memory of inference");
        describe("learning_rate", "The largest");
        describe("schedule", "Its course after the warm-up: constant (mezo's default), linear or cosine");
        describe("warmup_steps", "Steps in which the rate rises from 0");
        describe("warmup_ratio", "The same as a share of all steps");
        describe("weight_decay", "Decoupled; SGD's, added to the gradient; with mofo 0.1 unless another is given");
        describe("beta1", "AdamW's and MoFO's, of the average of gradients");
        describe("beta2", "AdamW's and MoFO's, of the average of squares");
        describe("epsilon", "AdamW's and MoFO's");
        describe("structure_learning_rate",
                "Of parameters that say how others are used, such as PEDRO's activations; -1: as the method has it, 1e-6 or, for a search, 0.1");
        describe("structure_share", "Share of the examples that is kept for those parameters alone; 0 trains them with the others");
        describe("mofo_fraction", "MoFO's: the share of each tensor's elements, those of largest momentum, that a step moves");
        describe("mezo_epsilon",
                "MeZO's: how far to either side of the weights the loss is looked at; 1e-2 is usual for LoRA, 1e-1 for prefixes");
        describe("mezo_samples", "MeZO's: random directions of a step");
        describe("momentum", "SGD's");
        describe("nesterov", "Let SGD look ahead along the momentum");
        describe("loraplus_lr_ratio", "LoRA+: how many times the rate of A that of B is; 16 is usual; 0: one rate for all");
        describe("loraplus_lr_embedding", "LoRA+: the rate on embeddings");
        describe("rate_factors",
                "Rates of their own: EXPRESSION=FACTOR,… for parameters whose names the expressions are found in, such as pedro\\.up\\.bias=100");
        describe("clip_norm", "Largest norm of the gradient; 0 leaves it as it is; none for mezo");
        describe("recompute", "Compute each block's inside again in the backward pass: less memory, about a third more time");
        describe("evaluate_every", "Steps between validations; 0: one at the end");
        describe("patience", "Stop after this many validations without a better loss; 0: never");
        describe("load_best", "End with the last step's weights instead of those of the best validation");
        describe("save_every", "Steps between checkpoints; 0: none but the best validation's and the last");
        describe("keep_checkpoints", "How many to keep; the best is kept beside them");
        describe("seed", "Of the data's order, dropout and the adapter's first values");
    }

    private static void describe(String name, String description) {
        DESCRIPTIONS.put(name, description);
    }

    @Override
    public CommandSpec transform(CommandSpec command) {
        var group = ArgGroupSpec.builder().heading("%nTraining:%n").exclusive(false).validate(false).order(1);
        TrainConfig.DEFAULT.toMap().forEach((name, value) -> group.addArg(option(name, value)));
        return command.addArgGroup(group.build());
    }

    private static OptionSpec option(String name, Object value) {
        String description = DESCRIPTIONS.get(name);
        if (value instanceof Boolean on) { // a flag turns it from its default
            return OptionSpec.builder(optionName(name)).type(boolean.class).description(description + ".").initialValue(on).build();
        }
        return OptionSpec.builder(optionName(name)).type(value.getClass())
                .paramLabel(value instanceof String ? "NAME" : value instanceof Double ? "X" : "N")
                .description("%s (default: %s).".formatted(description, value)).build();
    }

    private static String optionName(String name) {
        boolean on = Boolean.TRUE.equals(TrainConfig.DEFAULT.toMap().get(name));
        return (on ? "--no-" : "--") + name.replace('_', '-');
    }

    /// The settings given on the command line, those of `base` for the rest. What is wrong is a usage error that names the option.
    static TrainConfig read(CommandSpec command, TrainConfig base) {
        Map<String, Object> given = new TreeMap<>();
        for (String name : base.toMap().keySet()) {
            OptionSpec option = command.commandLine().getParseResult().matchedOption(optionName(name));
            if (option == null) continue;
            given.put(name,
                    option.getValue() instanceof Boolean ? Boolean.valueOf(!optionName(name).startsWith("--no-")) : option.getValue());
        }
        try {
            return base.with(Json.parse(Json.format(given), "settings"));
        } catch (RuntimeException e) {
            throw new ParameterException(command.commandLine(), inOptions(e.getMessage()), e);
        }
    }

    /// `settings: batch_size must be …` as `--batch-size must be …`.
    private static String inOptions(String message) {
        String text = message.replaceFirst("^settings: ", "");
        List<String> longestFirst = DESCRIPTIONS.keySet().stream().sorted((a, b) -> b.length() - a.length()).toList();
        for (String name : longestFirst) text = text.replaceAll("\"?\\b(?<!-)" + name + "\\b\"?(?= must| when)", optionName(name));
        return text;
    }
}
