package dev.graft.peft.method;

import dev.graft.models.VirtualTokens;
import dev.graft.tensor.Tensor;
import java.util.function.Supplier;

/// Virtual tokens whose embeddings are the rows of a matrix `[n, C]`, the same for every sequence.
record SoftPrompt(int count, Supplier<Tensor> matrix) implements VirtualTokens.Prompt {
    @Override
    public Tensor embeddings(int rows) {
        Tensor p = matrix.get();
        return p.unsqueeze(0).expand(rows, count, p.dim(1));
    }
}
