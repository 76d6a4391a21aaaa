package dev.graft.peft.method;

import dev.graft.models.ModelConfig;
import dev.graft.peft.AdapterException;
import dev.graft.peft.Stated;

/// How many virtual tokens there are, and the sizes of the model they are made for, which a new prompt takes from the model and a saved one must
/// share with it.
///
/// @param numVirtualTokens n
/// @param tokenDim width of a virtual token: the model's, of a prefix that of its keys
/// @param numLayers the model's
/// @param numAttentionHeads the model's, of a prefix those of its keys
/// @param numTransformerSubmodules 1: a decoder is one stack
public record PromptShape(@Stated int numVirtualTokens, Integer tokenDim, Integer numLayers, Integer numAttentionHeads,
        Integer numTransformerSubmodules) {

    public PromptShape {
        if (numVirtualTokens < 1) throw new AdapterException("num_virtual_tokens must be at least 1, got " + numVirtualTokens);
    }

    /// This many tokens, for any model.
    public static PromptShape of(int numVirtualTokens) {
        return new PromptShape(numVirtualTokens, null, null, null, null);
    }

    /// For the embeddings of a model.
    PromptShape asEmbeddings(ModelConfig model) {
        return fitted(model.hidden(), model.heads(), model);
    }

    /// For the keys and values of a model.
    PromptShape asKeysAndValues(ModelConfig model) {
        return fitted(model.keyValueHeads() * model.headDim(), model.keyValueHeads(), model);
    }

    private PromptShape fitted(int width, int heads, ModelConfig model) {
        if (numVirtualTokens >= model.maxPositions()) {
            throw new AdapterException("num_virtual_tokens is %d, which leaves no room for text among the model's %d positions"
                    .formatted(numVirtualTokens, model.maxPositions()));
        }
        return new PromptShape(numVirtualTokens, same("token_dim", tokenDim, width), same("num_layers", numLayers, model.layers()),
                same("num_attention_heads", numAttentionHeads, heads), same("num_transformer_submodules", numTransformerSubmodules, 1));
    }

    private static Integer same(String field, Integer given, int needed) {
        if (given != null && given != needed) {
            throw new AdapterException("%s is %d, but this model asks for %d; leave it out, or take the model the prompt was made for"
                    .formatted(field, given, needed));
        }
        return needed;
    }
}
