package dev.graft.peft.method;

import dev.graft.nn.Init;
import dev.graft.nn.Layer;
import dev.graft.nn.LayerHook;
import dev.graft.nn.Linear;
import dev.graft.nn.Parameter;
import dev.graft.peft.Adapter;
import dev.graft.peft.AdapterException;
import dev.graft.peft.AdapterFormat;
import dev.graft.peft.Attach;
import dev.graft.peft.Targets;
import dev.graft.tensor.DType;
import dev.graft.tensor.Shape;
import dev.graft.tensor.Tensor;
import java.util.HashSet;
import java.util.List;

/// AdapterFusion, attention over what several trained adapters make of a layer (Pfeiffer et al. 2021, arXiv:2005.00247).
///
/// ```
/// y = o + V Σᵢ aᵢ zᵢ         o = layer(x),  zᵢ = adapterᵢ(x) − o
/// a = softmaxᵢ(qᵀ kᵢ)        q = Q o + b_q,  kᵢ = K zᵢ + b_k        Q, K, V: [C, C]; b_q, b_k: [C]
/// ```
/// The adapters are attached before it and frozen by it. Training adds `regularization · Σ ‖V − I‖²` to the loss.
///
/// Trained per place: `3 C² + 2 C`. Starts near the adapters' mean, so not neutral: Q and K normal, deviation 0.02, their biases 0; V the identity with 0.000001 elsewhere. Not
/// merged: which adapter counts how much depends on the token.
///
/// @param adapters names of those to be fused, at least two
/// @param regularization weight of the penalty
public record AdapterFusion(List<String> adapters, double regularization, Targets targets) implements Adapter {
    public static final AdapterFusion DEFAULT = new AdapterFusion(List.of(), 0.01, Targets.DEFAULT);

    public AdapterFusion {
        adapters = List.copyOf(adapters);
        if (!(regularization >= 0)) throw new AdapterException("regularization must be at least 0, got " + regularization);
    }

    @Override
    public void onLinear(Linear base, Attach at) {
        fuse(base.out(), at);
    }

    @Override
    public void onLayer(Layer base, Attach at) {
        fuse(Sublayers.width(base, at), at);
    }

    private void fuse(int width, Attach at) {
        if (adapters.size() < 2 || new HashSet<>(adapters).size() < adapters.size())
            throw new AdapterException("a fusion needs the names of two or more different adapters, got " + adapters);
        List<LayerHook> fused = adapters.stream().map(at::attached).toList();
        Parameter query = at.param("query.weight", Shape.of(width, width), Init.normal(0.02));
        Parameter queryBias = at.param("query.bias", Shape.of(width), Init.zeros());
        Parameter key = at.param("key.weight", Shape.of(width, width), Init.normal(0.02));
        Parameter keyBias = at.param("key.bias", Shape.of(width), Init.zeros());
        Parameter value = at.param("value.weight", Shape.of(width, width),
                (_, _) -> Blocks.identity(width, Tensor.scalar(DType.F32, 0)).max(Tensor.scalar(DType.F32, 1e-6)));
        at.around((x, next) -> {
            Tensor o = next.apply(x);
            Tensor q = o.matmulT(query.value()).add(queryBias.value());                                    // [.., C]
            Tensor[] z = new Tensor[fused.size()], scores = new Tensor[fused.size()];
            for (int i = 0; i < z.length; i++) {
                z[i] = fused.get(i).around(x, h -> h == x ? o : next.apply(h)).sub(o);
                scores[i] = q.mul(z[i].matmulT(key.value()).add(keyBias.value())).sum(-1);                   // [.., 1]
            }
            Tensor a = Tensor.cat(-1, scores).softmax(), mix = z[0].mul(a.slice(-1, 0, 1));
            for (int i = 1; i < z.length; i++) mix = mix.add(z[i].mul(a.slice(-1, i, i + 1)));
            return o.add(mix.matmulT(value.value()));
        });
        if (regularization > 0)
            at.penalty(() -> value.value().sub(Blocks.identity(width, value.value())).square().sum().mul(regularization));
        at.cannotFold("how much each of its adapters counts depends on the token");
    }

    @Override
    public List<String> uses() {
        return adapters;
    }

    @Override
    public AdapterFormat format() {
        return AdapterFormat.GRAFT;
    }
}
