package dev.graft.models.bloom;

import dev.graft.models.Pass;
import dev.graft.tensor.DType;
import dev.graft.tensor.Tensor;
import dev.graft.tensor.op.Unary;

/// Attention with linear biases (Press et al. 2021, arXiv:2108.12409): a key counts the less the farther back it is, in each head at another rate.
///
/// ```
/// bias[b, h, 0, j] = slope_h · (number of keys up to j that row b attends to − 1)        0 where key j is padding
/// ```
/// A softmax does not see what is added to a whole row, so this equals `−slope_h · (distance of query and key)`, and no padding shifts it.
///
/// ```
/// slope_h = 2^(−8 (h + 1)/c)                   h < c, the largest power of two that is at most H
///           2^(−8 (2 (h − c) + 1)/(2 c))       h ≥ c
/// ```
final class Alibi {
    private final float[] slopes;

    Alibi(int heads) {
        double[] exact = slopes(heads);
        slopes = new float[heads];
        for (int h = 0; h < heads; h++) slopes[h] = (float) exact[h];
    }

    static double[] slopes(int heads) {
        int c = Integer.highestOneBit(heads);
        double[] slopes = new double[heads];
        for (int h = 0; h < heads; h++) slopes[h] = Math.pow(2, h < c ? -8.0 * (h + 1) / c : -4.0 * (2 * (h - c) + 1) / c);
        return slopes;
    }

    /// `[B or 1, H, 1, S]`
    Tensor bias(Pass pass) {
        Tensor positions;
        if (pass.mask() == null) {
            positions = Tensor.range(DType.F32, pass.keys());
        } else {
            Tensor mask = Unary.SIGN.apply(pass.mask().to(DType.F32).abs());
            positions = mask.cumsum().sub(1).mul(mask);
        }
        return positions.reshape(-1, 1, 1, pass.keys()).mul(Tensor.of(slopes, 1, slopes.length, 1, 1));
    }
}
