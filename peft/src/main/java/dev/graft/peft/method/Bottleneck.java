package dev.graft.peft.method;

import dev.graft.nn.Init;
import dev.graft.nn.Linear;
import dev.graft.nn.Parameter;
import dev.graft.peft.Adapter;
import dev.graft.peft.AdapterException;
import dev.graft.peft.AdapterFormat;
import dev.graft.peft.Attach;
import dev.graft.peft.Placements;
import dev.graft.peft.Targets;
import dev.graft.tensor.Shape;
import dev.graft.tensor.Tensor;
import dev.graft.tensor.op.AddMm;
import dev.graft.tensor.op.Dropout;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;

/// Series and parallel bottleneck adapters as LLM-Adapters has them (Hu et al. 2023, arXiv:2304.01933; the ideas are those of Houlsby et al. 2019,
/// Pfeiffer et al. 2020 and He et al. 2022).
///
/// ```
/// f(x) = s · U σ(D drop(x))             D: [m, k], U: [k', m], no biases
/// series, before:    y = W (x + f(x)) + b                     on the layers that open the MLP
/// series, after:     y = o + f(o),  o = W x + b               on the layer that closes it
/// parallel:          y = W x + b + f(x)                       on any linear layer
/// ```
/// Trained: `2 m in` before, `2 m out` after, `m (in + out)` in parallel, one more per place for a learned s. With `init_weights` "bert" (D and U normal,
/// deviation 0.02) the adapter disturbs the model from the start; with "mam_adapter" (D uniform in ±1/√k, U = 0) it starts neutral. Not merged: σ stands
/// between the matrices.
///
/// @param bottleneckSize m
/// @param nonLinearity σ, by its name in the Transformers library
/// @param adapterDropout share of the elements of the adapter's input that it does not see in training
/// @param scaling s, or `learned`
/// @param useParallelAdapter parallel rather than series
/// @param useAdapterp only decides where a series adapter goes by default: after the MLP (Pfeiffer) rather than on both sides of it (Houlsby)
/// @param initWeights `bert` or `mam_adapter`
/// @param bias `none`, `all` or `adapter_only`
public record Bottleneck(int bottleneckSize, String nonLinearity, double adapterDropout, Scaling scaling, boolean useParallelAdapter,
        boolean useAdapterp,
        String initWeights, String bias, Targets targets) implements Adapter {

    /// LLM-Adapters' defaults: series on both sides of the MLP ("AdapterH").
    public static final Bottleneck DEFAULT = new Bottleneck(256, "tanh", 0, Scaling.by(1), false, false, "bert", "none", Targets.DEFAULT);
    /// Series after the MLP ("AdapterP"), the place of the paper's results.
    public static final Bottleneck AFTER_MLP = new Bottleneck(256, "tanh", 0, Scaling.by(1), false, true, "bert", "none", Targets.DEFAULT);
    public static final Bottleneck PARALLEL = new Bottleneck(256, "tanh", 0, Scaling.by(1), true, false, "bert", "none", Targets.DEFAULT);
    public static final Bottleneck SCALED_PARALLEL = new Bottleneck(256, "tanh", 0, Scaling.LEARNED, true, false, "bert", "none",
            Targets.DEFAULT);

    private static final Set<String> BEFORE = names("series-attn"), AFTER = names("series-mlp");

    private static Set<String> names(String placement) {
        return Placements.targets(placement).values().stream().flatMap(List::stream).collect(Collectors.toCollection(TreeSet::new));
    }

    public Bottleneck {
        if (bottleneckSize < 1) throw new AdapterException("bottleneck_size must be at least 1, got " + bottleneckSize);
        Require.share("adapter_dropout", adapterDropout);
        if (!Set.of("bert", "mam_adapter").contains(initWeights)) {
            throw new AdapterException("init_weights must be \"bert\" or \"mam_adapter\", got \"" + initWeights + "\"");
        }
        NonLinearity.named(nonLinearity);
    }

    @Override
    public void onLinear(Linear base, Attach at) {
        String module = at.path().substring(at.path().lastIndexOf('.') + 1);
        if (useParallelAdapter) {
            Branch f = branch(base.in(), base.out(), at);
            at.addsThrough(f::inner, f.up, f.factor());
        } else if (BEFORE.contains(module)) {
            Branch f = branch(base.in(), base.in(), at);
            at.before(f::addTo);
        } else if (AFTER.contains(module)) {
            Branch f = branch(base.out(), base.out(), at);
            at.after(f::addTo);
        } else {
            throw new AdapterException(
                    "a series adapter goes before %s or after %s, not on '%s'; use_parallel_adapter goes anywhere".formatted(BEFORE,
                            AFTER, at.path()));
        }
        at.cannotFold(nonLinearity + " stands between the adapter's two matrices, so no plain layer computes the same");
    }

    private Branch branch(int in, int out, Attach at) {
        boolean neutral = initWeights.equals("mam_adapter");
        Parameter down = at.param("adapter_down.weight", Shape.of(bottleneckSize, in), neutral ? Init.kaimingUniform() : Init.normal(0.02));
        Parameter up = at.param("adapter_up.weight", Shape.of(out, bottleneckSize), neutral ? Init.zeros() : Init.normal(0.02));
        Parameter s = scaling.learned() ? at.param("adapter_scaling", Shape.of(1), Init.constant(scaling.value())) : null;
        return new Branch(down, up, s, scaling.value(), NonLinearity.named(nonLinearity), adapterDropout);
    }

    /// `f(x) = s · U σ(D drop(x))`.
    private record Branch(Parameter down, Parameter up, Parameter learned, double constant, NonLinearity sigma, double dropout) {
        /// `x + f(x)`.
        Tensor addTo(Tensor x) {
            return new AddMm(factor()).apply(x, inner(x), up.value());
        }

        /// s, unless it is learned.
        double factor() {
            return learned != null ? 1 : constant;
        }

        /// [.., m], a learned s in it.
        private Tensor inner(Tensor x) {
            Tensor a = sigma.of(Dropout.of(x, dropout).matmulT(down.value()));
            return learned != null ? a.mul(learned.value()) : a;
        }
    }

    @Override
    public Map<String, List<String>> usualTargets() {
        return Placements.targets(useParallelAdapter ? "parallel-attn" : useAdapterp ? "series-mlp" : "series-both");
    }

    /// A series adapter at attention is one before the MLP, at its output, as in LLM-Adapters' study.
    @Override
    public Map<String, List<String>> targetsAt(Targets.Place place) {
        if (useParallelAdapter) return Adapter.super.targetsAt(place);
        return Placements.targets(switch (place) {
            case ATTENTION -> "series-attn";
            case MLP -> "series-mlp";
            case BOTH -> "series-both";
        });
    }

    @Override
    public String peftType() {
        return "BOTTLENECK";
    }

    @Override
    public AdapterFormat format() {
        return AdapterFormat.LLM_ADAPTERS;
    }
}
