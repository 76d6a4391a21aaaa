package dev.graft.peft.train;

import dev.graft.models.io.Safetensors;
import dev.graft.models.io.TensorSource;
import dev.graft.models.llama.Llama;
import dev.graft.models.llama.LlamaConfig;
import dev.graft.models.llama.RopeScaling;
import dev.graft.nn.Linear;
import dev.graft.nn.Parameter;
import dev.graft.tensor.DType;
import dev.graft.tensor.Scope;
import dev.graft.tensor.op.Dropout;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.List;
import java.util.OptionalInt;
import java.util.stream.DoubleStream;

/// A LLaMA that trains in milliseconds, with dropout before every linear layer. What is trained are all its weights.
final class ToyLm implements Saveable, AutoCloseable {
    static final int VOCABULARY = 11;

    private final Llama model;

    ToyLm(DType dtype, double dropout) {
        this(dtype, dropout, 8);
    }

    ToyLm(DType dtype, double dropout, int width) {
        model = new Llama(new LlamaConfig(VOCABULARY, width, 3 * width / 2, 1, 2, 1, width / 2, 1e-6, 10000, new RopeScaling.None(), 256,
                false, false, false, 0.3, OptionalInt.empty(), List.of(), OptionalInt.empty()));
        model.initialise(7);
        try (var _ = Scope.untracked()) {
            for (Parameter p : weights()) {
                p.fill(p.value().to(dtype).copy());
                p.trainable(true);
            }
        }
        if (dropout > 0)
            model.modules(Linear.class).filter(l -> l != model.head())
                    .forEach(l -> l.attach((x, next) -> next.apply(Dropout.of(x, dropout))));
    }

    Llama lm() {
        return model;
    }

    CausalLoss loss() {
        return new CausalLoss(model);
    }

    List<Parameter> weights() {
        return model.parameters().toList();
    }

    double[] values() {
        return weights().stream().flatMapToDouble(p -> DoubleStream.of(p.value().toDoubles())).toArray();
    }

    @Override
    public void save(Path folder) {
        Safetensors.write(folder.resolve("toy.safetensors"), weights().stream().map(p -> {
            byte[] bytes = new byte[(int) p.value().spec().bytes()];
            p.value().copyTo(MemorySegment.ofArray(bytes));
            return TensorSource.of(p.name(), p.value().dtype(), p.shape(), MemorySegment.ofArray(bytes));
        }).toList());
    }

    @Override
    public void close() {
        model.close();
    }
}
