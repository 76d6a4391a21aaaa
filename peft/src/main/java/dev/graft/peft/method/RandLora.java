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
import dev.graft.tensor.op.Dropout;

/// RandLoRA, a full-rank sum of scaled random low-rank products (Albert et al. 2025, arXiv:2502.00987), as PEFT computes it.
///
/// ```
/// y = W x + b + s · V U drop(x)              where in ≤ out, and s · Uᵀ Vᵀ drop(x) where out < in; s = α/r
/// U[k·n + j, :] = λ[k, j] · A[k, 0, :] ⊙ γ[j, :]      V[:, j·r + k] = B[:, j, k]      n = ⌈min(in, out)/r⌉ products
/// λ: [r, n], γ: [n, min(in, out)]; A: [r, 1, ·], B: [·, n, r] random, frozen, one pair for all layers
/// ```
/// The pair is as large as the largest layer asks for, and each takes its first elements. Trained: `n (r + min(in, out))` per layer. Starts neutral: λ = 0,
/// γ = 1/(its largest size). Merged: `W + s · V U`. That U and V count their rows and columns in two orders is PEFT's way, and what its files mean. PEFT writes A and B below every
/// layer, too; Graft reads that and writes them once, which PEFT reads with a warning.
///
/// @param r rank of each product
/// @param randloraAlpha α
/// @param randloraDropout share of the elements of x that the addition does not see in training
/// @param projectionPrngKey the seed that A and B follow from
/// @param saveProjection whether the file holds them all the same
/// @param sparse whether A and B hold −1, 0 and 1 (1/6, 2/3 and 1/6 of them), divided by their deviation
/// @param verySparse the same with a share of 1/√(smaller size of the largest layer) that is not 0
/// @param initWeights false starts λ from random numbers (not neutral, for tests)
/// @param fanInFanOut means nothing here, where every weight lies `[out, in]`; kept for the file's sake
public record RandLora(int r, double randloraAlpha, double randloraDropout, long projectionPrngKey, boolean saveProjection, boolean sparse,
        boolean verySparse, boolean initWeights, boolean fanInFanOut, String bias, Targets targets) implements Adapter {
    /// PEFT's defaults.
    public static final RandLora DEFAULT = new RandLora(32, 640, 0, 0, true, false, false, true, false, "none", Targets.DEFAULT);

    public RandLora {
        Require.rank(r);
        Require.share("randlora_dropout", randloraDropout);
        if (sparse && verySparse) throw new AdapterException("sparse and very_sparse are two ways of drawing A and B; set one of them");
    }

    @Override
    public void onLinear(Linear base, Attach at) {
        int small = Math.min(base.in(), base.out()), large = Math.max(base.in(), base.out()), n = Math.ceilDiv(small, r);
        int in = Vera.largest(at, Linear::in), out = Vera.largest(at, Linear::out), width = Math.min(in, out);
        RandomBases bases = new RandomBases(projectionPrngKey, r, width, sparse ? 3 : verySparse ? Math.sqrt(width) : 0);
        Parameter a = at.sharedConstant("randlora_A", Shape.of(r, 1, width), bases.a(), saveProjection);
        Parameter b = at.sharedConstant("randlora_B", Shape.of(Math.max(in, out), Math.ceilDiv(width, r), r), bases.b(), saveProjection);
        Parameter lambda = at.param("randlora_lambda", Shape.of(r, n), initWeights ? Init.zeros() : Init.normal(1));
        Parameter gamma = at.param("randlora_gamma", Shape.of(n, small), Init.constant(1.0 / Math.max(n, small)));
        double s = randloraAlpha / r;
        at.adds(x -> {
            Tensor h = Dropout.of(x, randloraDropout), u = u(a, lambda, gamma), v = v(b, large, n);
            return base.in() <= base.out() ? h.matmulT(u).mul(s).matmulT(v) : h.matmul(v).mul(s).matmul(u);
        });
        at.folds(w -> {
            Tensor u = u(a, lambda, gamma), v = v(b, large, n);
            return w.plus((base.in() <= base.out() ? v.matmul(u) : u.transpose(0, 1).matmulT(v)).mul(s));
        });
    }

    /// `[r n, min(in, out)]`
    private static Tensor u(Parameter a, Parameter lambda, Parameter gamma) {
        int small = gamma.shape().dim(1);
        return a.value().slice(2, 0, small).mul(lambda.value().unsqueeze(2)).mul(gamma.value().unsqueeze(0)).reshape(-1, small);
    }

    /// `[max(in, out), n r]`
    private static Tensor v(Parameter b, int large, int n) {
        return b.value().slice(0, 0, large).slice(1, 0, n).reshape(large, -1);
    }

    @Override
    public String peftType() {
        return "RANDLORA";
    }
}
