package dev.graft.peft.cli;

import dev.graft.models.io.CheckpointException;
import dev.graft.models.io.Json;
import dev.graft.peft.Adapter;
import dev.graft.peft.AdapterException;
import dev.graft.peft.Adapters;
import dev.graft.peft.Method;
import dev.graft.peft.Targets;
import dev.graft.peft.train.TrainConfig;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import picocli.CommandLine.IModelTransformer;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.ParameterException;

/// The fields of all methods as options, `lora_alpha` as `--lora-alpha`. They are too many for one help text: `graft methods NAME` lists those of one.
final class MethodOptions implements IModelTransformer {
    /// Fields that are lists of names or numbers, also when none is given.
    private static final Set<String> LISTS = Set.of("target_modules", "exclude_modules", "modules_to_save", "layers_to_transform",
            "layers_pattern");

    @Override
    public CommandSpec transform(CommandSpec command) {
        for (String field : fields()) {
            String name = optionName(field);
            if (!command.optionsMap().containsKey(name)) {
                command.addOption(OptionSpec.builder(name).type(String.class).paramLabel("VALUE").arity("0..1").fallbackValue("true")
                        .hidden(true).build());
            }
        }
        return command;
    }

    private static Set<String> fields() {
        Set<String> fields = new TreeSet<>();
        Adapters.ALL.forEach(m -> fields.addAll(m.defaults().fields().keySet()));
        return fields;
    }

    /// A field named like a setting of training is `--adapter-…`.
    static String optionName(String field) {
        return (TrainConfig.DEFAULT.toMap().containsKey(field) ? "--adapter-" : "--") + field.replace('_', '-');
    }

    /// The method's adapter with the fields given on the command line. What is wrong is a usage error that names the option.
    static Adapter read(CommandSpec command, String method) {
        Method chosen = named(command, method);
        Adapter defaults = chosen.defaults();
        Map<String, Object> given = new LinkedHashMap<>();
        List<String> words = new ArrayList<>();
        for (String field : fields()) {
            OptionSpec option = command.commandLine().getParseResult().matchedOption(optionName(field));
            if (option == null || !option.hidden()) continue;
            if (!defaults.fields().containsKey(field)) {
                throw new ParameterException(command.commandLine(),
                        "%s is no option of method '%s', which has %s".formatted(optionName(field), method,
                                defaults.fields().keySet().stream().map(MethodOptions::optionName).toList()));
            }
            given.put(field, value(LISTS.contains(field) || defaults.fields().get(field) instanceof List, option.getValue()));
            words.add(optionName(field) + " " + option.<String>getValue());
        }
        try {
            return defaults.with(given);                                        // at once: one may make sense only with another
        } catch (AdapterException | CheckpointException e) {
            throw new ParameterException(command.commandLine(), String.join(" ", words) + ": " + e.getMessage(), e);
        }
    }

    /// A usage error if one is given where no new adapter is made.
    static void requireNone(CommandSpec command, String instead) {
        for (String field : fields()) {
            OptionSpec option = command.commandLine().getParseResult().matchedOption(optionName(field));
            if (option != null && option.hidden()) {
                throw new ParameterException(command.commandLine(),
                        "%s is of a new adapter, whose kind --method names; %s has none".formatted(optionName(field), instead));
            }
        }
    }

    static Method named(CommandSpec command, String method) {
        try {
            return Adapters.named(method);
        } catch (AdapterException e) {
            throw new ParameterException(command.commandLine(), e.getMessage(), e);
        }
    }

    /// What would have to be typed for a field's value.
    static String text(Object value) {
        if (value instanceof String s) return s;
        String json = Json.line(Collections.singletonMap("value", value));
        return json.substring("{\"value\":".length(), json.length() - 1);
    }

    /// JSON where the text is JSON, a list where the field is one and the text looks like one, else the text.
    private static Object value(boolean isList, String text) {
        if (Targets.Names.isWord(text)) return text;
        if (isList && text.matches("[\\w.-]+(,[\\w.-]+)*")) {
            List<String> parts = Arrays.asList(text.split(","));
            return parts.stream().allMatch(p -> p.matches("\\d+")) ? parts.stream().map(Integer::valueOf).toList() : parts;
        }
        try {
            Map<String, Object> parsed = Json.parse("{\"value\": " + text + "}", "").toMap();
            return parsed.size() == 1 ? parsed.get("value") : text;
        } catch (CheckpointException e) {
            return text;
        }
    }
}
