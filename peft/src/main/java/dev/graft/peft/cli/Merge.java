package dev.graft.peft.cli;

import dev.graft.models.ModelWriter;
import dev.graft.peft.MergeReport;
import dev.graft.tensor.DType;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/// Folds an adapter into the weights and writes the model, which then needs no adapter.
@Command(name = "merge", mixinStandardHelpOptions = true, sortOptions = false,
        description = "Folds an adapter into a model's weights and writes the result as a Hugging Face folder.", footer = {
                "", "Methods that do not fold into weights (graft methods says which) are refused. Example:",
                "  graft merge --model DIR --adapter DIR --output DIR"})
final class Merge implements Callable<Integer> {
    @Spec
    private CommandSpec spec;

    @Mixin
    private ModelOptions options;

    @Option(names = "--output", required = true, paramLabel = "DIR",
            description = "Where the merged model goes, with the tokenizer's files.")
    private Path output;

    @Option(names = "--dtype", paramLabel = "TYPE",
            description = "How the weights are written: F32, BF16 or F16 (default: as they are stored).")
    private DType dtype;

    @Override
    public Integer call() {
        if (options.adapter == null) throw new ParameterException(spec.commandLine(), "Missing required option: '--adapter=DIR'");
        if (Files.exists(output.resolve("config.json"))) {
            throw new ParameterException(spec.commandLine(), "--output " + output + " holds a model already; name another folder");
        }
        if (dtype != null && !dtype.isFloating())
            throw new ParameterException(spec.commandLine(), "--dtype must be F32, BF16 or F16, got " + dtype.name());
        try (ModelOptions.Loaded loaded = options.load()) {
            // Quantised weights are written unquantised, so that is how they are merged.
            MergeReport report = loaded.peft().merge(dev.graft.peft.Merge.DEQUANTISE);
            ModelWriter.save(loaded.model(), output, dtype, ModelWriter.SHARD);
            ModelWriter.copyCompanions(options.model, output);
            spec.commandLine().getOut().println(report);
            spec.commandLine().getOut().println("wrote " + output);
        }
        return 0;
    }
}
