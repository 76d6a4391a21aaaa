package dev.graft.peft.cli;

import dev.graft.models.CausalLm;
import dev.graft.peft.AdapterException;
import dev.graft.peft.Peft;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.TypeConversionException;

/// An adapter on the command line: its folder, or `folder@weight`.
///
/// @param weight share of the way that it goes
record ChosenAdapter(Path folder, double weight) {
    private static final Pattern WEIGHTED = Pattern.compile("(.+)@([^@/\\\\]+)");

    static final class Reader implements ITypeConverter<ChosenAdapter> {
        @Override
        public ChosenAdapter convert(String text) {
            Matcher parts = WEIGHTED.matcher(text);
            if (Files.exists(Path.of(text)) || !parts.matches()) return new ChosenAdapter(Path.of(text), 1);
            try {
                double weight = Double.parseDouble(parts.group(2));
                if (Double.isFinite(weight)) return new ChosenAdapter(Path.of(parts.group(1)), weight);
            } catch (NumberFormatException e) {
                // said below
            }
            throw new TypeConversionException("'%s' is no folder, and '%s' behind its @ is no weight".formatted(text, parts.group(2)));
        }
    }

    /// What it is called among several: as its folder.
    String name() {
        return folder.toAbsolutePath().normalize().getFileName().toString().replace('.', '_');
    }

    /// Attaches them in their order and uses them together. A single one is the model's default.
    static Peft attach(CausalLm model, List<ChosenAdapter> chosen) {
        Map<String, Double> weights = new LinkedHashMap<>();
        for (ChosenAdapter c : chosen) {
            if (weights.put(chosen.size() == 1 ? Peft.DEFAULT : c.name(), c.weight) != null)
                throw new AdapterException(
                        "two adapters are called '%s'; they go by their folders' names, so rename one".formatted(c.name()));
        }
        Peft peft = Peft.of(model);
        try {
            for (ChosenAdapter c : chosen) peft.add(chosen.size() == 1 ? Peft.DEFAULT : c.name(), c.folder);
            peft.use(weights);
            return peft;
        } catch (Throwable t) {
            peft.close();
            throw t;
        }
    }
}
