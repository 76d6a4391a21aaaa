package dev.graft.peft.method;

import dev.graft.nn.Init;
import dev.graft.nn.Linear;
import dev.graft.nn.Parameter;
import dev.graft.peft.Adapter;
import dev.graft.peft.AdapterException;
import dev.graft.peft.Attach;
import dev.graft.peft.Graft;
import dev.graft.peft.Spelled;
import dev.graft.peft.Targets;
import dev.graft.peft.train.Step;
import dev.graft.tensor.Shape;
import dev.graft.tensor.Tensor;
import dev.graft.tensor.op.Dropout;
import java.util.List;
import java.util.Map;

/// AdaLoRA (Zhang et al. 2023, arXiv:2303.10512): LoRA in the form of singular value decompositions, whose ranks are cut to a budget where they matter least.
///
/// ```
/// y = W x + b + s · B (E ∘ A drop(x))      A: [r, in], B: [out, r], E: [r, 1]; r = init_r, s = α/(init_r + 1e-5)
/// loss + orth_reg_weight · mean over all A and B of ‖A Aᵀ − I‖ and ‖Bᵀ B − I‖
/// ```
/// Trained: `r (in + out + 1)` per layer. Starts neutral: E = 0, A and B normal with deviation 0.02. Merged: `W + s · B (E ∘ A)`.
///
/// After `tinit` steps the triplets (a row of A, its E, a column of B) of all layers together are cut to a [#budget] that falls from init_r to target_r a layer,
/// every `deltaT` steps, by setting the E of those that matter least to 0; they may come back while it falls. With `tfinal` steps left the choice is
/// final. What matters is judged by [RankBudget]. A file holds what is left, and in `rank_pattern` what that is; an adapter that has a `rank_pattern` trains on as it is.
///
/// @param initR rank at the start
/// @param targetR ranks in the end, on average over the layers
/// @param loraAlpha α
/// @param loraDropout share of the elements of x that the adapter does not see in training
/// @param tinit steps before the first cut
/// @param tfinal steps after the last cut
/// @param deltaT steps from cut to cut
/// @param beta1 how slowly the importance follows the steps
/// @param beta2 how slowly its uncertainty does
/// @param orthRegWeight weight of the penalty
/// @param totalStep steps that the schedule is over; 0 for those of the run
/// @param rankPattern which triplets a file holds, or null for all
/// @param initLoraWeights false starts from random numbers everywhere (not neutral, for tests)
/// @param fanInFanOut means nothing here, where every weight lies `[out, in]`; kept for the file's sake
public record AdaLora(int initR, int targetR, double loraAlpha, double loraDropout, int tinit, int tfinal, @Spelled("deltaT") int deltaT,
        double beta1, double beta2, double orthRegWeight, int totalStep, RankPattern rankPattern, boolean initLoraWeights, String bias,
        boolean fanInFanOut, Targets targets) implements Adapter {
    /// PEFT's defaults, but for `total_step`, which PEFT wants to be told.
    public static final AdaLora DEFAULT = new AdaLora(12, 8, 8, 0, 0, 0, 1, 0.85, 0.85, 0.5, 0, null, true, "none", false, Targets.DEFAULT);

    public AdaLora {
        require(initR >= 1, "init_r", "at least 1", initR);
        require(targetR >= 1, "target_r", "at least 1", targetR);
        require(loraAlpha > 0, "lora_alpha", "above 0", loraAlpha);
        Require.share("lora_dropout", loraDropout);
        require(tinit >= 0, "tinit", "at least 0", tinit);
        require(tfinal >= 0, "tfinal", "at least 0", tfinal);
        require(deltaT >= 1, "deltaT", "at least 1", deltaT);
        require(beta1 > 0 && beta1 < 1, "beta1", "between 0 and 1", beta1);
        require(beta2 > 0 && beta2 < 1, "beta2", "between 0 and 1", beta2);
        require(orthRegWeight >= 0, "orth_reg_weight", "at least 0", orthRegWeight);
        require(totalStep >= 0, "total_step", "at least 0", totalStep);
    }

    private static void require(boolean holds, String field, String wanted, Number got) {
        if (!holds) throw new AdapterException("%s must be %s, got %s".formatted(field, wanted, got));
    }

    @Override
    public void onLinear(Linear base, Attach at) {
        if (targetR > initR) throw new AdapterException("target_r must be at most init_r, which is %d, got %d".formatted(initR, targetR));
        int rank = rankPattern == null ? initR : rankPattern.rank(at.path(), initR);
        Init random = Init.normal(initLoraWeights ? 0.02 : 1);
        Parameter a = at.param("lora_A", Shape.of(rank, base.in()), random);
        Parameter e = at.param("lora_E", Shape.of(rank, 1), initLoraWeights ? Init.zeros() : random);
        Parameter b = at.param("lora_B", Shape.of(base.out(), rank), random);
        if (rank == 0) return;
        double s = loraAlpha / (initR + 1e-5);
        at.addsThrough(x -> Dropout.of(x, loraDropout).matmulT(a.value().mul(e.value())), b, s);
        at.folds(w -> w.plus(b.value().matmul(a.value().mul(e.value())).mul(s)));
        double share = orthRegWeight / (2.0 * at.layers().size());
        if (share > 0) {
            at.penalty(() -> skew(a.value().matmulT(a.value())).add(skew(b.value().tMatmul(b.value()))).mul(share));
        }
        if (rankPattern == null) RankBudget.attach(at, a, e, b);
    }

    /// `‖M − I‖`
    private static Tensor skew(Tensor m) {
        return m.sub(Blocks.identity(m.dim(0), m)).square().sum().sqrt();
    }

    @Override
    public AdaLora forRun(long steps) {
        if (rankPattern != null) return this;
        long total = totalStep == 0 ? steps : totalStep;
        if (total > steps) {
            throw new AdapterException(
                    "total_step is %d, and a run of %d steps ends before its schedule does; give total_step 0 or at most %d"
                            .formatted(total, steps, steps));
        }
        if (total - tfinal <= Math.max(tinit, 1)) {
            throw new AdapterException(
                    "of %d steps, tinit %d and tfinal %d leave none to cut ranks in; make them smaller, or the run longer"
                            .formatted(total, tinit, tfinal));
        }
        return (AdaLora) with("total_step", total);
    }

    /// Triplets left after a step, in all.
    ///
    /// ```
    /// b(t) = target + (init − target) · (1 − (t − tinit)/(total_step − tfinal − tinit))³        init and target those of all layers
    /// ```
    /// @param step from 1, after tinit and not later than `total_step − tfinal`
    int budget(long step, int layers) {
        int target = targetR * layers;
        double left = 1 - (double) (step - tinit) / (totalStep - tfinal - tinit);
        return (int) ((initR * layers - target) * (left * left * left) + target);
    }

    @Override
    public void afterStep(Graft graft, Step step) {
        if (rankPattern != null) return;
        RankBudget budget = new RankBudget(graft, beta1, beta2);
        long t = step.number(), last = totalStep - tfinal;
        if (t < last) budget.observe(step.grads());
        if (t == last || t > tinit && t < last && t % deltaT == 0) budget.cut(budget(t, graft.places().size()));
        else if (t > last) budget.cutAgain();
    }

    @Override
    public AdaLora trained(Graft graft) {
        if (rankPattern != null) return this;
        RankPattern left = RankBudget.pattern(graft);
        return left == null ? this : (AdaLora) with("rank_pattern", left.json());
    }

    /// PEFT's files have LoRA's fields, too.
    @Override
    public Map<String, List<?>> harmless() {
        return Map.of("r", List.of(8), "megatron_core", List.of("megatron.core"), "qalora_group_size", List.of(16));
    }

    @Override
    public String peftType() {
        return "ADALORA";
    }
}
