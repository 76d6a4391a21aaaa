/// GPT-J and what its config.json says. The whole model is in [GptJ], top to bottom.
package dev.graft.models.gptj;
