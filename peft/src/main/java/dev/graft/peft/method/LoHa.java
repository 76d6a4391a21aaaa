package dev.graft.peft.method;

import dev.graft.nn.Init;
import dev.graft.nn.Linear;
import dev.graft.nn.Parameter;
import dev.graft.peft.Adapter;
import dev.graft.peft.Attach;
import dev.graft.peft.Targets;
import dev.graft.tensor.Shape;
import dev.graft.tensor.Tensor;
import java.util.Map;

/// LoHa, a low-rank Hadamard product (Hyeon-Woo et al. 2022, arXiv:2108.06098; LyCORIS, Yeh et al. 2024, arXiv:2309.14859).
///
/// ```
/// y = W x + b + s · ((w1_a w1_b) ∘ (w2_a w2_b)) x        w*_a: [out, r], w*_b: [r, in]; s = α/r
/// ```
/// The rank of the product goes up to r². Trained: `2 r (in + out)` per layer. Starts neutral: w2_b = 0, the others uniform in ±1/√(their last size). Merged: added to W.
///
/// @param r rank of each factor
/// @param alpha α
/// @param rankDropout share of the rows of the addition that training leaves out
/// @param moduleDropout how often training leaves out the whole addition
/// @param initWeights false starts from random numbers everywhere (not neutral, for tests)
/// @param rankPattern ranks of layers whose path ends in a key (a regular expression), instead of r
/// @param alphaPattern the same for α
public record LoHa(int r, double alpha, double rankDropout, double moduleDropout, boolean initWeights, Map<String, Integer> rankPattern,
        Map<String, Double> alphaPattern, Targets targets) implements Adapter {
    /// PEFT's defaults.
    public static final LoHa DEFAULT = new LoHa(8, 8, 0, 0, true, Map.of(), Map.of(), Targets.DEFAULT);

    public LoHa {
        Require.rank(r);
        Require.share("rank_dropout", rankDropout);
        Require.share("module_dropout", moduleDropout);
        rankPattern = Patterns.ofSizes("rank_pattern", rankPattern);
        alphaPattern = Patterns.of(alphaPattern);
    }

    @Override
    public void onLinear(Linear base, Attach at) {
        int rank = Patterns.at(rankPattern, at.path(), r);
        double s = Patterns.at(alphaPattern, at.path(), alpha) / rank;
        Init random = Init.kaimingUniform();
        Parameter w1a = at.param("hada_w1_a", Shape.of(base.out(), rank), random);
        Parameter w1b = at.param("hada_w1_b", Shape.of(rank, base.in()), random);
        Parameter w2a = at.param("hada_w2_a", Shape.of(base.out(), rank), random);
        Parameter w2b = at.param("hada_w2_b", Shape.of(rank, base.in()), initWeights ? Init.zeros() : random);
        // As one product of rank r² the addition is cheaper than as a matrix while r² is below about half the width.
        boolean thin = (long) rank * rank * (base.in() + base.out()) < (long) base.in() * base.out();
        at.adds(x -> {
            Tensor y = thin ? x.matmulT(right(w1b.value(), w2b.value())).mul(s).matmulT(left(w1a.value(), w2a.value()))
                    : x.matmulT(product(w1a, w1b).mul(product(w2a, w2b)).mul(s));
            return DeltaDropout.of(y, rankDropout, moduleDropout);
        });
        at.folds(w -> w.plus(product(w1a, w1b).mul(product(w2a, w2b)).mul(s)));
    }

    private static Tensor product(Parameter a, Parameter b) {
        return a.value().matmul(b.value());
    }

    /// Columns `a_i ∘ b_j`, `[out, r²]`.
    private static Tensor left(Tensor a, Tensor b) {
        return a.unsqueeze(2).mul(b.unsqueeze(1)).reshape(a.dim(0), -1);
    }

    /// Rows `a_i ∘ b_j`, `[r², in]`.
    private static Tensor right(Tensor a, Tensor b) {
        return a.unsqueeze(1).mul(b.unsqueeze(0)).reshape(-1, a.dim(1));
    }

    @Override
    public String peftType() {
        return "LOHA";
    }
}
