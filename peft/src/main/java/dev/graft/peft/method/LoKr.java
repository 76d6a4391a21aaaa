package dev.graft.peft.method;

import dev.graft.nn.Init;
import dev.graft.nn.Linear;
import dev.graft.nn.Parameter;
import dev.graft.peft.Adapter;
import dev.graft.peft.AdapterException;
import dev.graft.peft.Attach;
import dev.graft.peft.Targets;
import dev.graft.tensor.Shape;
import dev.graft.tensor.Tensor;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;

/// LoKr, a Kronecker product (LyCORIS, Yeh et al. 2024, arXiv:2309.14859); with both factors full it is KronA (Edalati et al. 2022, arXiv:2212.10650).
///
/// ```
/// y = W x + b + s · (w1 ⊗ w2) x        w1: [l, m], w2: [k, n]; l·k = out, m·n = in; s = α/r
/// w1 = w1_a w1_b with decompose_both and r < max(l, m)/2        w2 = w2_a w2_b while r < max(k, n)/2
/// ```
/// With x as a matrix X: [m, n], `(w1 ⊗ w2) x` is `w1 X w2ᵀ` row by row, so the Kronecker product is never formed. Trained: the sizes of the factors, `l m + r (k + n)` by
/// default. Starts neutral: w1 (or w1_a) = 0, the others uniform in ±1/√(their last size); `lycoris`: w2 (or w2_b) = 0 instead. Merged: added to W.
///
/// @param r rank of a factor that is itself a product
/// @param alpha α; divided by r even where no factor is a product
/// @param decomposeBoth whether w1 may be a product too
/// @param decomposeFactor m and l, where it divides in and out; else the most they may be; -1 for as near to the root as there is a divisor
/// @param rankDropout share of the rows of the addition that training leaves out
/// @param moduleDropout how often training leaves out the whole addition
/// @param initWeights `true`, `lycoris`, or `false` (random everywhere: not neutral, for tests)
/// @param rankPattern ranks of layers whose path ends in a key (a regular expression), instead of r
/// @param alphaPattern the same for α
public record LoKr(int r, double alpha, boolean decomposeBoth, int decomposeFactor, double rankDropout, double moduleDropout,
        String initWeights,
        Map<String, Integer> rankPattern, Map<String, Double> alphaPattern, Targets targets) implements Adapter {
    /// PEFT's defaults.
    public static final LoKr DEFAULT = new LoKr(8, 8, false, -1, 0, 0, "true", Map.of(), Map.of(), Targets.DEFAULT);

    public LoKr {
        Require.rank(r);
        Require.share("rank_dropout", rankDropout);
        Require.share("module_dropout", moduleDropout);
        if (decomposeFactor < 1 && decomposeFactor != -1)
            throw new AdapterException("decompose_factor must be at least 1, or -1, got " + decomposeFactor);
        if (!List.of("true", "false", "lycoris").contains(initWeights))
            throw new AdapterException("init_weights must be true, false or \"lycoris\", got \"" + initWeights + "\"");
        rankPattern = Patterns.ofSizes("rank_pattern", rankPattern);
        alphaPattern = Patterns.of(alphaPattern);
    }

    /// The two sizes whose product is `size`, the smaller first.
    record Factors(int small, int large) {
        static Factors of(int size, int factor) {
            if (factor > 0 && size % factor == 0) return new Factors(factor, size / factor);
            int most = factor == -1 ? size : factor, small = 1, sum = 1 + size;
            for (int m = 2; m < size / small && m <= most; m++) {
                if (size % m != 0) continue;
                if (m + size / m > sum || m > size / m) break;
                small = m;
                sum = m + size / m;
            }
            return new Factors(small, size / small);
        }
    }

    @Override
    public void onLinear(Linear base, Attach at) {
        int rank = Patterns.at(rankPattern, at.path(), r);
        double s = Patterns.at(alphaPattern, at.path(), alpha) / rank;
        Factors in = Factors.of(base.in(), decomposeFactor), out = Factors.of(base.out(), decomposeFactor);
        boolean firstIsZero = initWeights.equals("true"), secondIsZero = initWeights.equals("lycoris");
        Supplier<Tensor> w1 = decomposeBoth && rank < Math.max(out.small, in.small) / 2.0
                ? product("lokr_w1", out.small, in.small, rank, firstIsZero, false, at)
                : whole("lokr_w1", out.small, in.small, firstIsZero, at);
        Supplier<Tensor> w2 = rank < Math.max(out.large, in.large) / 2.0
                ? product("lokr_w2", out.large, in.large, rank, false, secondIsZero, at)
                : whole("lokr_w2", out.large, in.large, secondIsZero, at);
        at.adds(x -> {
            Tensor rows = x.reshape(-1, in.small, in.large).matmulT(w2.get());                       // [N, m, k]
            Tensor y = rows.transpose(1, 2).matmulT(w1.get().mul(s)).transpose(1, 2);                // [N, l, k]
            return DeltaDropout.of(y.reshape(x.shape().with(-1, base.out())), rankDropout, moduleDropout);
        });
        at.folds(w -> w.plus(kronecker(w1.get(), w2.get()).mul(s)));
    }

    private static Supplier<Tensor> whole(String name, int rows, int columns, boolean zero, Attach at) {
        Parameter w = at.param(name, Shape.of(rows, columns), zero ? Init.zeros() : Init.kaimingUniform());
        return w::value;
    }

    private static Supplier<Tensor> product(String name, int rows, int columns, int rank, boolean zeroA, boolean zeroB, Attach at) {
        Parameter a = at.param(name + "_a", Shape.of(rows, rank), zeroA ? Init.zeros() : Init.kaimingUniform());
        Parameter b = at.param(name + "_b", Shape.of(rank, columns), zeroB ? Init.zeros() : Init.kaimingUniform());
        return () -> a.value().matmul(b.value());
    }

    /// `[l·k, m·n]`
    private static Tensor kronecker(Tensor a, Tensor b) {
        return a.unsqueeze(1).unsqueeze(3).mul(b.unsqueeze(0).unsqueeze(2)).reshape(a.dim(0) * b.dim(0), a.dim(1) * b.dim(1));
    }

    @Override
    public String peftType() {
        return "LOKR";
    }
}
