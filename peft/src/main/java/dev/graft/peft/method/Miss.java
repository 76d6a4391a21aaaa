package dev.graft.peft.method;

import dev.graft.nn.Init;
import dev.graft.nn.Linear;
import dev.graft.nn.Parameter;
import dev.graft.peft.Adapter;
import dev.graft.peft.Attach;
import dev.graft.peft.Targets;
import dev.graft.tensor.Shape;
import dev.graft.tensor.Tensor;
import dev.graft.tensor.op.Dropout;
import java.util.List;
import java.util.Map;

/// MiSS, matrix shard sharing (Kang and Yin 2024, arXiv:2409.15371): all stretches of r inputs share one small matrix.
///
/// ```
/// y = W x + b + Dᵀ (Σ_j x_j)           x cut into stretches x_j of r elements, the last filled up with zeros; D: [r, out]
/// ```
/// Trained: `r out` per layer. Starts neutral: D = 0. Merged: `W[:, i] + D[i mod r, :]`.
///
/// @param r elements of a stretch
/// @param missDropout share of the elements of x that the addition does not see in training
/// @param initWeights false starts from random numbers (not neutral, for tests)
public record Miss(int r, double missDropout, boolean initWeights, String bias, Targets targets) implements Adapter {
    /// PEFT's defaults.
    public static final Miss DEFAULT = new Miss(64, 0, true, "none", Targets.DEFAULT);

    public Miss {
        Require.rank(r);
        Require.share("miss_dropout", missDropout);
    }

    @Override
    public void onLinear(Linear base, Attach at) {
        Parameter d = at.param("miss_block", Shape.of(r, base.out()), initWeights ? Init.zeros() : Init.kaimingUniform());
        int stretches = Math.ceilDiv(base.in(), r), missing = stretches * r - base.in();
        at.adds(x -> {
            Tensor h = Dropout.of(x, missDropout);
            if (missing > 0) h = Tensor.cat(-1, h, Tensor.zeros(h.spec().with(h.shape().with(-1, missing))));
            return h.reshape(-1, stretches, r).sum(1).reshape(x.shape().with(-1, r)).matmul(d.value());
        });
        at.folds(w -> {
            Tensor all = d.value().transpose(0, 1).unsqueeze(1).expand(base.out(), stretches, r).reshape(base.out(), -1);
            return w.plus(all.slice(1, 0, base.in()));
        });
    }

    /// How its shards are made smaller in one of its variants, which PEFT only uses there.
    @Override
    public Map<String, List<?>> harmless() {
        return Map.of("mini_r", List.of(1));
    }
}
