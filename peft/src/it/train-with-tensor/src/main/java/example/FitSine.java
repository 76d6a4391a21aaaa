package example;

import dev.graft.nn.Init;
import dev.graft.nn.Linear;
import dev.graft.nn.Module;
import dev.graft.nn.Parameter;
import dev.graft.optim.AdamW;
import dev.graft.tensor.Backends;
import dev.graft.tensor.DType;
import dev.graft.tensor.Grads;
import dev.graft.tensor.Scope;
import dev.graft.tensor.Shape;
import dev.graft.tensor.Tape;
import dev.graft.tensor.Tensor;
import java.util.List;

/// Fits `y = sin x` on `[−π, π)` with one hidden layer, and fails when that is not learnt.
public final class FitSine {
    private static final int POINTS = 256;

    private static final class Network extends Module {
        final Linear hidden = child("hidden", new Linear(1, 32, true));
        final Linear out = child("out", new Linear(32, 1, true));

        Tensor forward(Tensor x) {                                         // [N, 1] -> [N, 1]
            return out.forward(hidden.forward(x).tanh());
        }
    }

    public static void main(String[] args) {
        try (var _ = Scope.open(); Network network = new Network()) {
            List<Parameter> parameters = network.parameters().toList();
            for (int i = 0; i < parameters.size(); i++) {
                Parameter p = parameters.get(i);
                p.fill(Init.normal(0.5).values(p.shape(), i));
                p.trainable(true);
            }
            Tensor x = Tensor.uniform(DType.F32, Shape.of(POINTS, 1), 7).mul(2 * Math.PI).sub(Math.PI);
            Tensor y = x.sin();
            double before = loss(network, x, y).item();
            try (AdamW optimizer = new AdamW(parameters, AdamW.Config.DEFAULT)) {
                for (int step = 0; step < 400; step++) {
                    try (Tape tape = Tape.open(); Grads grads = tape.backward(loss(network, x, y))) {
                        optimizer.step(grads, 0.02);
                    }
                }
            }
            double after = loss(network, x, y).item();
            System.out.printf("mean squared error %.5f -> %.5f on backend %s (%s)%n", before, after, Backends.best().name(),
                    Backends.best().description());
            if (!(after < 0.002)) throw new AssertionError("the network did not learn: " + after);
        }
    }

    private static Tensor loss(Network network, Tensor x, Tensor y) {
        return network.forward(x).sub(y).square().mean();
    }
}
