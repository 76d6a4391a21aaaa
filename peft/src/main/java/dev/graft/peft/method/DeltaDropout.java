package dev.graft.peft.method;

import dev.graft.tensor.Spec;
import dev.graft.tensor.Tensor;
import dev.graft.tensor.op.Dropout;

/// How LyCORIS thins out what a method adds, while it trains.
///
/// ```
/// y ⊙ d / mean(d)                      rank_dropout: d one of 0 and 1 for each of the last axis
/// y or 0                               module_dropout, for the whole
/// ```
final class DeltaDropout {
    private DeltaDropout() {
    }

    static Tensor of(Tensor y, double rankDropout, double moduleDropout) {
        Tensor rows = Tensor.ones(Spec.of(y.dtype(), y.dim(-1)));
        Tensor kept = Dropout.of(rows, rankDropout);
        if (kept != rows) y = y.mul(kept.div(kept.mean().max(Tensor.scalar(y.dtype(), 1e-12))));
        Tensor one = Tensor.ones(Spec.of(y.dtype(), 1));
        Tensor whole = Dropout.of(one, moduleDropout);
        return whole == one ? y : y.mul(whole.mul(1 - moduleDropout));
    }
}
