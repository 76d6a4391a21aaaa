package dev.graft.models;

import dev.graft.nn.Module;
import dev.graft.tensor.Scope;
import dev.graft.tensor.Tensor;
import dev.graft.tensor.backend.Backend;
import dev.graft.tensor.op.Rope;

/// The rotary embedding of a model: tables of angles by position, made longer when a longer sequence comes. The rotation itself is [Rope].
///
/// ```
/// cos[p, i] = cos(p·ω_i)      sin[p, i] = sin(p·ω_i)      usually ω_i = θ^(−2i/R)
/// ```
public final class Rotary extends Module {
    private static final int SHORTEST = 64;

    private final double[] frequencies;
    private final boolean interleaved;
    private Table table;

    private record Table(Tensor cos, Tensor sin) {
    }

    /// @param frequencies ω, in radians per position, one per turning pair
    /// @param interleaved whether pairs are neighbours (GPT-J) instead of halves apart (LLaMA)
    public Rotary(double[] frequencies, boolean interleaved) {
        this.frequencies = frequencies.clone();
        this.interleaved = interleaved;
    }

    /// `θ^(−2i/R)` for `i` = 0 … R/2 − 1.
    public static double[] frequencies(double theta, int turning) {
        double[] omega = new double[turning / 2];
        for (int i = 0; i < omega.length; i++) omega[i] = Math.pow(theta, -2.0 * i / turning);
        return omega;
    }

    /// x `[B, T, H, D]` turned by its positions.
    public Tensor turn(Tensor x, Pass pass) {
        Table t = table(pass.keys(), x.backend());
        return Rope.of(x, t.cos.to(x.dtype()), t.sin.to(x.dtype()), pass.positions(), interleaved);
    }

    private synchronized Table table(int positions, Backend backend) {
        if (table == null || table.cos.dim(0) < positions) {
            int rows = Math.max(SHORTEST, Integer.highestOneBit(Math.max(1, positions - 1)) << 1);
            float[] cos = new float[rows * frequencies.length];
            float[] sin = new float[cos.length];
            for (int i = 0; i < cos.length; i++) {
                double angle = i / frequencies.length * frequencies[i % frequencies.length];
                cos[i] = (float) Math.cos(angle);
                sin[i] = (float) Math.sin(angle);
            }
            try (var _ = Scope.open(backend)) {
                // The shorter table stays: another thread may be reading it.
                table = new Table(own(Tensor.of(cos, rows, frequencies.length)), own(Tensor.of(sin, rows, frequencies.length)));
            }
        }
        return table;
    }
}
