package dev.graft.peft.method;

import dev.graft.nn.Init;
import dev.graft.nn.Parameter;
import dev.graft.peft.AttachModel;
import dev.graft.tensor.Shape;
import dev.graft.tensor.Spec;
import dev.graft.tensor.Tensor;
import dev.graft.tensor.op.Dropout;
import java.util.ArrayList;
import java.util.List;

/// A long short-term memory (Hochreiter and Schmidhuber 1997, doi:10.1162/neco.1997.9.8.1735) that reads a sequence in both directions, with PyTorch's
/// parameters.
///
/// ```
/// [i ; f ; g ; o] = W x_t + b + U h_{t−1} + d          W: [4h, k], U: [4h, h], b and d: [4h]
/// c_t = σ(f) c_{t−1} + σ(i) tanh(g)        h_t = σ(o) tanh(c_t)        h_0 = c_0 = 0
/// ```
/// A layer's output at t is `[h_t of the way forth ; h_t of the way back]`, which the next layer reads, some elements dropped in training.
/// Starts uniform in ±1/√h.
final class Lstm {
    private final List<Direction> directions = new ArrayList<>();            // of each layer, forth and back
    private final double dropout;

    Lstm(String name, int in, int hidden, int layers, double dropout, AttachModel at) {
        this.dropout = dropout;
        for (int l = 0; l < layers; l++) {
            int k = l == 0 ? in : 2 * hidden;
            directions.add(new Direction(name, "_l" + l, k, hidden, false, at));
            directions.add(new Direction(name, "_l" + l + "_reverse", k, hidden, true, at));
        }
    }

    /// x: `[T, k] → [T, 2h]`
    Tensor of(Tensor x) {
        Tensor y = x;
        for (int l = 0; l < directions.size(); l += 2) {
            Tensor read = l == 0 ? y : Dropout.of(y, dropout);
            y = Tensor.cat(1, directions.get(l).of(read), directions.get(l + 1).of(read));
        }
        return y;
    }

    private static final class Direction {
        private final Parameter w;
        private final Parameter u;
        private final Parameter b;
        private final Parameter d;
        private final int hidden;
        private final boolean back;

        Direction(String name, String suffix, int in, int hidden, boolean back, AttachModel at) {
            Init start = Init.uniform(1 / Math.sqrt(hidden));
            this.w = at.encoder(name + ".weight_ih" + suffix, Shape.of(4 * hidden, in), start);
            this.u = at.encoder(name + ".weight_hh" + suffix, Shape.of(4 * hidden, hidden), start);
            this.b = at.encoder(name + ".bias_ih" + suffix, Shape.of(4 * hidden), start);
            this.d = at.encoder(name + ".bias_hh" + suffix, Shape.of(4 * hidden), start);
            this.hidden = hidden;
            this.back = back;
        }

        /// `[T, k] → [T, h]`
        Tensor of(Tensor x) {
            Tensor read = x.matmulT(w.value()).add(b.value()).add(d.value());                  // [T, 4h]
            int steps = x.dim(0);
            Tensor[] out = new Tensor[steps];
            Tensor h = Tensor.zeros(new Spec(Shape.of(1, hidden), x.dtype())), c = h;
            for (int i = 0; i < steps; i++) {
                int t = back ? steps - 1 - i : i;
                Tensor gates = read.slice(0, t, t + 1).add(h.matmulT(u.value()));               // [1, 4h]
                c = gate(gates, 1).sigmoid().mul(c).add(gate(gates, 0).sigmoid().mul(gate(gates, 2).tanh()));
                h = gate(gates, 3).sigmoid().mul(c.tanh());
                out[t] = h;
            }
            return Tensor.cat(0, out);
        }

        private Tensor gate(Tensor gates, int which) {
            return gates.slice(1, which * hidden, (which + 1) * hidden);
        }
    }
}
