package dev.graft.models.bloom;

import dev.graft.models.Pass;
import dev.graft.tensor.Tensor;

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
        int keys = pass.keys();
        int[] mask = pass.mask() == null ? null : pass.mask().toInts();
        int rows = mask == null ? 1 : mask.length / keys;
        float[] positions = new float[rows * keys];
        for (int b = 0; b < rows; b++) {
            int seen = 0;
            for (int j = b * keys; j < (b + 1) * keys; j++) if (mask == null || mask[j] != 0) positions[j] = seen++;
        }
        return Tensor.of(positions, rows, 1, 1, keys).mul(Tensor.of(slopes, 1, slopes.length, 1, 1));
    }
}
