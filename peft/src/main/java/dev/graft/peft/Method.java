package dev.graft.peft;

import dev.graft.models.CausalLm;
import java.util.OptionalLong;

/// A way of adapting a model, as the list of methods has it.
///
/// @param name on the command line: `lora`
/// @param family `re-parametrisation`, `series`, `parallel`, …
/// @param paper title, authors or year, and arXiv number
/// @param defaults the adapter with everything as the original has it
/// @param mergeable whether it folds into the weights
public record Method(String name, String family, String paper, Adapter defaults, boolean mergeable) {
    /// How many numbers it trains with its defaults on a model, of which the shapes are enough; empty where there is nothing it could go to.
    public OptionalLong trained(CausalLm model) {
        try {
            return OptionalLong.of(Graft.plan(model, defaults).count());
        } catch (AdapterException e) {
            return OptionalLong.empty();                                        // BitFit, on a model without biases
        }
    }

    /// Whether PEFT reads what this saves.
    public boolean isPeft() {
        return defaults.format() == AdapterFormat.PEFT;
    }
}
