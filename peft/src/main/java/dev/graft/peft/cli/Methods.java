package dev.graft.peft.cli;

import dev.graft.models.CausalLm;
import dev.graft.models.ModelLoader;
import dev.graft.peft.Adapters;
import dev.graft.peft.Counts;
import dev.graft.peft.Method;
import java.io.PrintWriter;
import java.util.Locale;
import java.util.OptionalLong;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/// Lists the methods, or the options of one.
@Command(name = "methods", mixinStandardHelpOptions = true, description = "Lists the ways of adapting a model, or the options of one.")
final class Methods implements Callable<Integer> {
    @Spec
    private CommandSpec spec;

    @Parameters(arity = "0..1", paramLabel = "NAME", description = "Show this method's options and their defaults.")
    private String name;

    @Override
    public Integer call() {
        PrintWriter out = spec.commandLine().getOut();
        if (name == null) {
            out.printf("%-16s %-19s %13s %8s  %-9s %-13s %s%n", "method", "family", "trained on 7B", "share", "mergeable", "files",
                    "paper");
            try (CausalLm llama = ModelLoader.empty(Init.published("llama-7b").orElseThrow())) {
                long base = llama.parameterCount();
                for (Method m : Adapters.ALL) {
                    OptionalLong trained = m.trained(llama);
                    String count = "-", share = "-";
                    if (trained.isPresent()) {
                        Counts counts = new Counts(trained.getAsLong(), base + trained.getAsLong());
                        count = String.format(Locale.ROOT, "%,d", counts.trainable());
                        share = String.format(Locale.ROOT, "%.3f %%", counts.percent());
                    }
                    out.printf("%-16s %-19s %13s %8s  %-9s %-13s %s%n", m.name(), m.family(), count, share, m.mergeable() ? "yes" : "no",
                            m.defaults().format().library(), m.paper());
                }
            }
            out.printf(
                    "%nTrained on 7B: numbers trained on LLaMA-7B with the method's defaults, and their share; - where LLaMA has nothing it could go to. Files: whose form they have; that library reads them.%n");
            out.printf("%ngraft methods NAME shows a method's options; graft tune --method NAME trains one.%n");
            return 0;
        }
        Method method = MethodOptions.named(spec, name);
        out.printf("%s: %s; %s%n%noptions of graft tune --method %s, and their defaults:%n", method.name(), method.family(), method.paper(),
                method.name());
        method.defaults().fields().forEach((field, value) -> out.printf("  %-24s %s%n", MethodOptions.optionName(field), shown(value)));
        return 0;
    }

    private static String shown(Object value) {
        if (value == null) return "-";
        return MethodOptions.text(value);
    }
}
