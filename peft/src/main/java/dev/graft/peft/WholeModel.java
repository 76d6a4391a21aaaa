package dev.graft.peft;

import dev.graft.models.CausalLm;
import dev.graft.models.VirtualTokens;
import dev.graft.nn.Init;
import dev.graft.nn.Parameter;
import dev.graft.tensor.DType;
import dev.graft.tensor.Shape;
import dev.graft.tensor.Tensor;
import java.util.function.Supplier;

/// A model with what an adapter has put around the whole of it.
final class WholeModel implements AttachModel {
    private final Graft graft;
    private final CausalLm model;
    private final boolean isNew;

    WholeModel(Graft graft, CausalLm model, boolean isNew) {
        this.graft = graft;
        this.model = model;
        this.isNew = isNew;
    }

    @Override
    public boolean isNew() {
        return isNew;
    }

    @Override
    public Parameter param(String name, Shape shape, Init init) {
        return graft.named(name, shape, init, dtype());
    }

    @Override
    public Parameter encoder(String name, Shape shape, Init init) {
        return graft.unsaved(name, shape, init, dtype());
    }

    @Override
    public void saves(String name, Supplier<Tensor> made) {
        graft.saves(name, made);
    }

    @Override
    public void virtualTokens(VirtualTokens tokens) {
        graft.virtualTokens(tokens);
    }

    private DType dtype() {
        return Graft.dtype(model.embedding().weight());
    }
}
