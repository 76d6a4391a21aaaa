/// Turning next-token scores into text: logits processors in the order of transformers, sampling, beam search, stop strings, streaming.
///
/// Everything here works on rows of `float` and arrays of ids; [dev.graft.models.generate.StepModel] is all it asks of a model. Start with
/// [dev.graft.models.generate.Generator].
package dev.graft.models.generate;
