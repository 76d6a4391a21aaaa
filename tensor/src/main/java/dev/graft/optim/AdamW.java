package dev.graft.optim;

import dev.graft.nn.Parameter;
import dev.graft.tensor.Engine;
import dev.graft.tensor.Grads;
import dev.graft.tensor.Scope;
import dev.graft.tensor.Tensor;
import dev.graft.tensor.op.AdamWStep;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/// AdamW: Adam with decoupled weight decay; the formula is in [AdamWStep].
public final class AdamW implements Optimizer.ByGradients {
    /// @param weightDecay per step and unit of learning rate; 0 is Adam
    public record Config(double beta1, double beta2, double eps, double weightDecay) {
        /// PyTorch's defaults but for the weight decay, which is 0 here and 0.01 there.
        public static final Config DEFAULT = new Config(0.9, 0.999, 1e-8, 0);

        public Config withWeightDecay(double decay) {
            return new Config(beta1, beta2, eps, decay);
        }
    }

    private final Config config;
    private final Groups groups;
    private final Moments moments;

    public AdamW(List<Parameter> parameters, Config config) {
        this(parameters, config, Groups.ONE);
    }

    public AdamW(List<Parameter> parameters, Config config, Groups groups) {
        this.config = config;
        this.groups = groups;
        this.moments = new Moments(parameters, "AdamW");
    }

    @Override
    public List<Parameter> parameters() {
        return moments.parameters();
    }

    @Override
    public void step(Grads grads, double learningRate) {
        long step = moments.next();
        Map<Groups.Group, List<Parameter>> learning = new LinkedHashMap<>();
        for (Parameter p : parameters()) {
            if (grads.find(p) != null) learning.computeIfAbsent(groups.of(p), _ -> new ArrayList<>()).add(p);
        }
        try (var _ = Scope.untracked()) {
            learning.forEach((group, all) -> {
                AdamWStep op = new AdamWStep(learningRate * group.rate(), config.beta1, config.beta2, config.eps,
                        config.weightDecay * group.decay(), step);
                List<Tensor> in = new ArrayList<>();
                all.forEach(p -> in.add(p.value()));
                all.forEach(p -> in.add(moments.of(p).first()));
                all.forEach(p -> in.add(moments.of(p).second()));
                List<Tensor> out = List.copyOf(in);
                all.forEach(p -> in.add(grads.find(p).contiguous()));
                Engine.update(op, in, out);
                all.forEach(Parameter::settle);
            });
        }
    }

    @Override
    public Map<String, Tensor> state() {
        return moments.state();
    }

    @Override
    public void restore(Map<String, Tensor> state) {
        moments.restore(state);
    }

    @Override
    public void close() {
        moments.close();
    }
}
