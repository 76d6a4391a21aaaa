package dev.graft.peft.method;

import dev.graft.nn.Init;
import dev.graft.nn.Linear;
import dev.graft.nn.Parameter;
import dev.graft.peft.Adapter;
import dev.graft.peft.Attach;
import dev.graft.peft.Targets;
import dev.graft.tensor.DType;
import dev.graft.tensor.Shape;
import dev.graft.tensor.Tensor;
import dev.graft.tensor.op.Dropout;
import java.util.Map;

/// HiRA, a Hadamard product with the weight itself (Huang et al. 2025, "HiRA: parameter-efficient Hadamard high-rank adaptation", ICLR).
///
/// ```
/// y = W x + b + (W ∘ (B A)) drop(x)    A: [r, in], B: [out, r]
/// ```
/// What is added has up to the rank of W. Trained: `r (in + out)` per layer. Starts neutral: B = 0, A uniform in ±1/√in. Merged: `W + W ∘ (B A)`.
///
/// @param r rank
/// @param hiraDropout share of the elements of x that the addition does not see in training
/// @param initWeights false starts from random numbers everywhere (not neutral, for tests)
/// @param rankPattern ranks of layers whose path ends in a key (a regular expression), instead of r; PEFT 0.21 has the field and takes r everywhere, so that
/// it cannot read what is saved with one
/// @param fanInFanOut means nothing here, where every weight lies `[out, in]`; kept for the file's sake
public record HiRa(int r, double hiraDropout, boolean initWeights, Map<String, Integer> rankPattern, boolean fanInFanOut, Targets targets)
        implements
            Adapter {
    public static final HiRa DEFAULT = new HiRa(32, 0, true, Map.of(), false, Targets.DEFAULT);

    public HiRa {
        Require.rank(r);
        Require.share("hira_dropout", hiraDropout);
        rankPattern = Patterns.ofSizes("rank_pattern", rankPattern);
    }

    @Override
    public void onLinear(Linear base, Attach at) {
        int rank = Patterns.at(rankPattern, at.path(), r);
        Parameter a = at.param("hira_A", Shape.of(rank, base.in()), Init.kaimingUniform());
        Parameter b = at.param("hira_B", Shape.of(base.out(), rank), initWeights ? Init.zeros() : Init.kaimingUniform());
        at.adds(x -> Dropout.of(x, hiraDropout)
                .matmulT(update(base, a, b, x.dtype())));
        at.folds(w -> w.plus(update(base, a, b, w.weight().dtype())));
    }

    /// Of the model's own weight, whatever other adapters add to it.
    private static Tensor update(Linear base, Parameter a, Parameter b, DType dtype) {
        return b.value().matmul(a.value()).mul(base.weight().weight().dense().to(dtype));
    }

    @Override
    public String peftType() {
        return "HIRA";
    }
}
