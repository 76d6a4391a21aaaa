package dev.graft.optim;

import dev.graft.nn.Parameter;
import dev.graft.tensor.DType;
import dev.graft.tensor.Engine;
import dev.graft.tensor.Grads;
import dev.graft.tensor.Scope;
import dev.graft.tensor.Spec;
import dev.graft.tensor.Tensor;
import dev.graft.tensor.TensorException;
import dev.graft.tensor.op.AdamWStep;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/// AdamW: Adam with decoupled weight decay; the formula is in [AdamWStep].
public final class AdamW implements Optimizer {
    /// @param weightDecay per step and unit of learning rate; 0 is Adam
    public record Config(double beta1, double beta2, double eps, double weightDecay) {
        /// PyTorch's defaults but for the weight decay, which is 0 here and 0.01 there.
        public static final Config DEFAULT = new Config(0.9, 0.999, 1e-8, 0);

        public Config withWeightDecay(double decay) {
            return new Config(beta1, beta2, eps, decay);
        }
    }

    private record Moments(Tensor first, Tensor second) {
    }

    private final Config config;
    private final Groups groups;
    private final List<Parameter> parameters;
    private final Scope memory = Scope.detached();
    private final Map<Parameter, Moments> moments = new LinkedHashMap<>();
    private long steps;

    public AdamW(List<Parameter> parameters, Config config) {
        this(parameters, config, Groups.ONE);
    }

    public AdamW(List<Parameter> parameters, Config config, Groups groups) {
        this.parameters = List.copyOf(parameters);
        this.config = config;
        this.groups = groups;
        try (var _ = Scope.untracked()) {
            for (Parameter p : parameters) {
                Spec spec = p.value().spec();
                if (spec.dtype().isHalf())
                    throw new TensorException("'" + p.name() + "' is " + spec.dtype() + "; AdamW trains f32 parameters, convert it first");
                moments.put(p, new Moments(memory.keep(Tensor.zeros(spec)), memory.keep(Tensor.zeros(spec))));
            }
        }
    }

    @Override
    public List<Parameter> parameters() {
        return parameters;
    }

    @Override
    public void step(Grads grads, double learningRate) {
        steps++;
        try (var _ = Scope.untracked()) {
            moments.forEach((p, m) -> {
                Tensor g = grads.find(p);
                if (g == null) return;
                Groups.Group group = groups.of(p);
                AdamWStep op = new AdamWStep(learningRate * group.rate(), config.beta1, config.beta2, config.eps,
                        config.weightDecay * group.decay(), steps);
                Engine.update(op, List.of(p.value(), m.first, m.second, g.contiguous()), List.of(p.value(), m.first, m.second));
                p.settle();
            });
        }
    }

    @Override
    public Map<String, Tensor> state() {
        Map<String, Tensor> state = new LinkedHashMap<>();
        moments.forEach((p, m) -> {
            state.put("exp_avg." + p.name(), m.first);
            state.put("exp_avg_sq." + p.name(), m.second);
        });
        state.put("step", Tensor.scalar(DType.I64, steps));
        return state;
    }

    @Override
    public void restore(Map<String, Tensor> state) {
        moments.forEach((p, m) -> {
            m.first.assign(required(state, "exp_avg." + p.name()));
            m.second.assign(required(state, "exp_avg_sq." + p.name()));
        });
        steps = (long) required(state, "step").item();
    }

    private static Tensor required(Map<String, Tensor> state, String name) {
        Tensor t = state.get(name);
        if (t == null) throw new TensorException("the optimizer's state has no '" + name + "'; it holds " + state.keySet());
        return t;
    }

    @Override
    public void close() {
        memory.close();
    }
}
