/// LLaMA and what its config.json says. The whole model is in [Llama], top to bottom.
package dev.graft.models.llama;
