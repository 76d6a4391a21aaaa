package dev.graft.tensor.op;

import dev.graft.tensor.Call;
import dev.graft.tensor.Gradients;
import dev.graft.tensor.Keep;
import dev.graft.tensor.Tape;
import dev.graft.tensor.Tensor;
import dev.graft.tensor.TensorException;
import dev.graft.tensor.Wanted;
import java.util.List;

/// Dropout (Srivastava et al. 2014): under a training tape each element is zeroed with probability `p`, the rest is scaled up to keep the mean.
///
/// ```
/// y = x · [u ≥ p] / (1 − p)        u = uniform(seed, i) of [Random]        dx = the same of dy
/// ```
/// Nothing is stored: element `i` of the mask is a function of the seed and `i`.
public record Dropout(double p, long seed) implements Composite {
    /// Acts only under [Tape#training]; elsewhere returns `x` itself.
    public static Tensor of(Tensor x, double p) {
        if (p < 0 || p >= 1) throw new TensorException("[dropout] p must be in [0, 1), got " + p);
        Tape tape = Tape.recording();
        return tape == null || !tape.isTraining() || p == 0 ? x : new Dropout(p, tape.nextSeed()).apply(x);
    }

    @Override
    public Tensor define(List<Tensor> in) {
        Tensor x = in.getFirst();
        Tensor keep = Tensor.scalar(x.dtype(), p).le(Tensor.uniform(x.dtype(), x.shape(), seed));
        return x.mul(keep).mul(1 / (1 - p));
    }

    @Override
    public Keep keep(Wanted wanted) {
        return Keep.NOTHING;
    }

    @Override
    public void vjp(Call c, Tensor dy, Gradients g) {
        g.of(0, () -> apply(dy));
    }
}
