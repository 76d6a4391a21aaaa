package dev.graft.peft.method;

import dev.graft.nn.Init;
import dev.graft.nn.Parameter;
import dev.graft.peft.AdapterException;
import dev.graft.tensor.DType;
import dev.graft.tensor.Shape;
import dev.graft.tensor.Tensor;
import java.util.List;

/// How LoRA's matrices start.
///
/// ```
/// true          A uniform ±1/√in             B = 0
/// gaussian      A ~ N(0, 1/r²)               B = 0
/// orthogonal    A = Qᵒᵀ Rᴬ/10, B = Rᴮ Qᵉ/10   Q a random orthogonal [r, r], its rows split into odd and even, so B A = 0
/// pissa         A = √S Vᵀ,     B = U √S      U S Vᵀ the r largest singular triplets of W/s (Meng et al. 2024, arXiv:2404.02948)
/// olora         A = R[:r],     B = Q[:, :r]  W = Q R (Büyükakyüz 2024, arXiv:2406.01775)
/// false         A uniform ±1/√in             B uniform ±1/√r
/// ```
/// The last but one two change what is computed, so `s · B A` as it was at the start is subtracted from W. `pissa_niter_<n>` asks PEFT for an
/// approximation of the same triplets; here they are always the exact ones.
final class LoraStart {
    private static final List<String> KNOWN = List.of("true", "false", "gaussian", "orthogonal", "pissa", "pissa_niter_<n>", "olora");

    private final String kind;
    private final Parameter weight;
    private final int rank;
    private final double scale;
    private LowRank factors;

    LoraStart(String kind, Parameter weight, int rank, double scale) {
        this.kind = kind.startsWith("pissa") ? "pissa" : kind;
        this.weight = weight;
        this.rank = rank;
        this.scale = scale;
        int most = Math.min(weight.shape().dim(0), weight.shape().dim(1));
        if (leavesResidual() && rank > most) {
            throw new AdapterException("init_lora_weights '%s' takes at most rank %d from '%s' %s, got %d".formatted(kind, most,
                    weight.name(), weight.shape(), rank));
        }
        if (leavesResidual() && !(scale > 0)) throw new AdapterException("init_lora_weights '" + kind + "' needs a lora_alpha above 0");
        if (this.kind.equals("orthogonal") && rank % 2 != 0)
            throw new AdapterException("init_lora_weights 'orthogonal' needs an even rank, got " + rank);
    }

    static void require(String kind) {
        switch (kind) {
            case "true", "false", "gaussian", "orthogonal", "pissa", "olora" -> {
            }
            case String s when s.matches("pissa_niter_\\d+") -> {
            }
            case "corda", "eva", "lora_ga" -> throw new AdapterException(
                    "init_lora_weights '%s' starts from data that has passed through the model, which is not available; known are %s"
                            .formatted(kind, KNOWN));
            case "loftq" -> throw new AdapterException(
                    "init_lora_weights 'loftq' starts from the error of quantising the base model, which is not available; known are "
                            + KNOWN);
            default -> throw new AdapterException("init_lora_weights '%s' is not known; known are %s".formatted(kind, KNOWN));
        }
    }

    /// Whether the first product of A and B is subtracted from W.
    boolean leavesResidual() {
        return kind.equals("pissa") || kind.equals("olora");
    }

    Init a() {
        return switch (kind) {
            case "gaussian" -> Init.normal(1.0 / rank);
            case "orthogonal" -> (shape, seed) -> Tensor.randn(DType.F32, Shape.of(rank / 2, shape.dim(1)), seed).mul(0.1).transpose(0, 1)
                    .matmul(rows(0)).transpose(0, 1);
            case "pissa", "olora" -> (_, _) -> factors().right();
            default -> Init.kaimingUniform();
        };
    }

    Init b() {
        return switch (kind) {
            case "orthogonal" -> (shape, seed) -> Tensor.randn(DType.F32, Shape.of(shape.dim(0), rank / 2), seed).mul(0.1).matmul(rows(1));
            case "pissa", "olora" -> (_, _) -> factors().left();
            case "false" -> Init.kaimingUniform();
            default -> Init.zeros();
        };
    }

    Init bias() {
        return kind.equals("false") ? Init.uniform(1 / Math.sqrt(rank)) : Init.zeros();
    }

    static Init embeddingA(String kind) {
        return kind.equals("false") ? Init.normal(1) : Init.zeros();
    }

    static Init embeddingB() {
        return Init.normal(1);
    }

    /// Every other row of a random orthogonal matrix, `[r/2, r]`. Both halves come from one seed, whatever the seeds of A and B.
    private Tensor rows(int from) {
        float[] square = Tensor.randn(DType.F32, Shape.of(rank, rank), rank).toFloats();
        float[] q = LowRank.orthonormal(square, rank, rank, rank).left().toFloats();    // [r, r]
        float[] half = new float[rank / 2 * rank];
        for (int i = 0; i < rank / 2; i++) System.arraycopy(q, (2 * i + from) * rank, half, i * rank, rank);
        return Tensor.of(half, rank / 2, rank);
    }

    private LowRank factors() {
        if (factors == null) {
            float[] w = weight.weight().dense().toFloats();
            int out = weight.shape().dim(0);
            int in = weight.shape().dim(1);
            factors = kind.equals("pissa") ? LowRank.singular(w, out, in, rank, scale) : LowRank.orthonormal(w, out, in, rank);
        }
        return factors;
    }
}
