package dev.graft.peft;

/// A way of adapting a model, as the list of methods has it.
///
/// @param name on the command line: `lora`
/// @param family `re-parametrisation`, `series`, `parallel`, …
/// @param paper title, authors or year, and arXiv number
/// @param defaults the adapter with everything as the original has it
/// @param mergeable whether it folds into the weights
public record Method(String name, String family, String paper, Adapter defaults, boolean mergeable) {
    /// Whether PEFT reads what this saves.
    public boolean isPeft() {
        return defaults.format() == AdapterFormat.PEFT;
    }
}
