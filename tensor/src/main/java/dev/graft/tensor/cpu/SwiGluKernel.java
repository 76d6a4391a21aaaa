package dev.graft.tensor.cpu;

import dev.graft.tensor.backend.View;
import dev.graft.tensor.op.SwiGlu;
import java.util.List;

/// [SwiGlu] in one pass: `y = gate · σ(gate) · up`.
final class SwiGluKernel {
    private static final VectorLoop.Binary LOOP = VectorLoop.of((gate, up) -> gate.mul(Exp.sigmoid(gate)).mul(up));

    private SwiGluKernel() {
    }

    static void run(SwiGlu op, List<View> in, List<View> out) {
        Elementwise.binary(LOOP, in.get(0), in.get(1), out.getFirst());
    }
}
