package dev.graft.peft.cli;

import dev.graft.models.CausalLm;
import dev.graft.models.LoadOptions;
import dev.graft.models.ModelLoader;
import dev.graft.peft.Peft;
import java.nio.file.Path;
import java.util.List;
import picocli.CommandLine.Option;

/// Which model a command runs, and with which adapter: the options that commands share.
final class ModelOptions {
    @Option(names = "--model", required = true, paramLabel = "DIR",
            description = "A Hugging Face folder: config.json, weights and, where text goes in or out, tokenizer.json.")
    Path model;

    @Option(names = "--adapter", paramLabel = "DIR[@WEIGHT]", converter = ChosenAdapter.Reader.class,
            description = "An adapter, in PEFT's or LLM-Adapters' format; without it the bare model. Several act together, each having those before it as "
                    + "part of its layer; one at 0.5 goes half the way.")
    List<ChosenAdapter> adapters = List.of();

    @Option(names = "--weights", paramLabel = "FORM", defaultValue = "STORED",
            description = "How weights are held: ${COMPLETION-CANDIDATES} (default: ${DEFAULT-VALUE}). The arithmetic is F32 in each.")
    LoadOptions.Weights weights;

    /// A model with what is attached to it; closes both.
    record Loaded(CausalLm model, Peft peft) implements AutoCloseable {
        @Override
        public void close() {
            if (peft != null) peft.close();
            model.close();
        }
    }

    Loaded load() {
        return load(weights);
    }

    Loaded load(LoadOptions.Weights form) {
        CausalLm loaded = ModelLoader.load(model, LoadOptions.DEFAULT.withWeights(form));
        try {
            return new Loaded(loaded, adapters.isEmpty() ? null : ChosenAdapter.attach(loaded, adapters));
        } catch (Throwable t) {
            loaded.close();
            throw t;
        }
    }
}
