package dev.graft.bench.model;

import dev.graft.models.CausalLm;
import dev.graft.models.Inputs;
import dev.graft.optim.AdamW;
import dev.graft.peft.Adapter;
import dev.graft.peft.Peft;
import dev.graft.peft.train.CausalLoss;
import dev.graft.peft.train.Step;
import dev.graft.tensor.Backends;
import dev.graft.tensor.Grads;
import dev.graft.tensor.Scope;
import dev.graft.tensor.Tape;
import dev.graft.tensor.Tensor;

/// An adapter on a model and its optimizer, of which a bench measures steps. The model stays the bench's.
final class AdapterStep implements AutoCloseable {
    /// More than any bench makes, for methods that do one thing early in a run and another late.
    private static final long RUN = 10_000;

    private final CausalLm model;
    private final Peft peft;
    private final AdamW optimizer;
    private long made;

    AdapterStep(CausalLm model, Adapter adapter) {
        this.model = model;
        try (var _ = Scope.open()) {
            peft = Peft.attach(model, adapter);
            peft.begin(RUN);
            optimizer = new AdamW(peft.parameters(), AdamW.Config.DEFAULT);
        }
    }

    /// Forward, backward, AdamW and what the method has beside them, every token of these rows predicted.
    double step(int[][] ids) {
        try (Tape tape = Tape.training(1); Grads grads = Grads.open()) {
            Tensor loss = CausalLoss.losses(model, Inputs.of(ids, null), ids).mean();
            Tensor penalty = peft.penalty();
            tape.backward(penalty == null ? loss : loss.add(penalty), grads);
            optimizer.step(grads, 1e-3);
            peft.after(new Step(++made, RUN, grads));
            Backends.best().await();
            return loss.item();
        }
    }

    @Override
    public void close() {
        optimizer.close();
        peft.close();
    }
}
