/// BLOOM and what its config.json says. The whole model is in [Bloom], top to bottom.
package dev.graft.models.bloom;
