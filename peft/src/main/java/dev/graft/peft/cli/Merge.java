package dev.graft.peft.cli;

import static dev.graft.peft.Merge.DEQUANTISE;
import static dev.graft.peft.Merge.REQUANTISE;

import dev.graft.models.CausalLm;
import dev.graft.models.ModelWriter;
import dev.graft.peft.MergeReport;
import dev.graft.tensor.DType;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
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
                "  graft merge --model DIR --adapter DIR --output DIR",
                "A quantised model is written unquantised, or with --requantise as NF4 again; better than either is the adapter in the model that was quantised."})
final class Merge implements Callable<Integer> {
    @Spec
    private CommandSpec spec;

    @Mixin
    private ModelOptions options;

    @Option(names = "--output", required = true, paramLabel = "DIR",
            description = "Where the merged model goes, with the tokenizer's files.")
    private Path output;

    @Option(names = "--dtype", paramLabel = "TYPE",
            description = "How the weights are written: F32, BF16 or F16 (default: as they are stored; those of a quantised model as its embedding).")
    private DType dtype;

    @Option(names = "--requantise",
            description = "Write weights held as NF4 as NF4 again, as bitsandbytes does; says how much the merged ones are off.")
    private boolean requantise;

    @Override
    public Integer call() {
        if (options.adapters.isEmpty()) throw new ParameterException(spec.commandLine(), "Missing required option: '--adapter=DIR'");
        if (Files.exists(output.resolve("config.json"))) {
            throw new ParameterException(spec.commandLine(), "--output " + output + " holds a model already; name another folder");
        }
        if (dtype != null && !dtype.isFloating())
            throw new ParameterException(spec.commandLine(), "--dtype must be F32, BF16 or F16, got " + dtype.name());
        if (dtype != null && requantise)
            throw new ParameterException(spec.commandLine(), "--requantise writes weights as they are held; leave --dtype out");
        try (ModelOptions.Loaded loaded = options.load()) {
            CausalLm model = loaded.model();
            List<String> formats = model.parameters().filter(p -> p.weight().isQuantised()).map(p -> p.weight().format()).distinct()
                    .toList();
            if (requantise && !formats.equals(List.of("nf4"))) {
                throw new ParameterException(spec.commandLine(),
                        "--requantise is for weights held as NF4 (--weights NF4, or a model that is stored so), not "
                                + (formats.isEmpty() ? "unquantised ones" : formats.getFirst()));
            }
            MergeReport report = loaded.peft().merge(requantise ? REQUANTISE : DEQUANTISE);
            boolean widened = dtype == null && !requantise && !formats.isEmpty();
            ModelWriter.save(model, output, widened ? model.embedding().weight().value().dtype() : dtype, ModelWriter.SHARD);
            ModelWriter.copyCompanions(options.model, output);
            spec.commandLine().getOut().println(report);
            spec.commandLine().getOut().println("wrote " + output);
        }
        return 0;
    }
}
