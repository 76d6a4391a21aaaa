package dev.graft.tensor.cpu;

import dev.graft.tensor.backend.View;
import dev.graft.tensor.op.SwiGluGrad;
import java.lang.foreign.MemorySegment;
import java.util.List;
import jdk.incubator.vector.FloatVector;

/// [SwiGluGrad] in one pass: both gradients from one sigmoid.
///
/// ```
/// s = σ(gate)        dup = dy · gate · s        dgate = dy · up · s (1 + gate (1 − s))
/// ```
final class SwiGluGradKernel {
    private SwiGluGradKernel() {
    }

    static void run(SwiGluGrad op, List<View> in, List<View> out) {
        Blocks.of(in, out.get(0), out.get(1))
                .run((m, at, n) -> body(m[0], at[0], m[1], at[1], m[2], at[2], m[3], at[3], m[4], at[4], n));
    }

    private static void body(
            MemorySegment gate, long go, MemorySegment up, long uo, MemorySegment dy, long dyo, MemorySegment dgate, long dgo,
            MemorySegment dup, long duo,
            int n) {
        for (int i = 0; i < n; i += Lanes.LENGTH) {
            FloatVector g = load(gate, go + i * 4L);
            FloatVector d = load(dy, dyo + i * 4L);
            FloatVector s = Exp.sigmoid(g);
            d.mul(load(up, uo + i * 4L)).mul(Functions.siluSlope(g, s)).intoMemorySegment(dgate, dgo + i * 4L, Lanes.ORDER);
            d.mul(g.mul(s)).intoMemorySegment(dup, duo + i * 4L, Lanes.ORDER);
        }
    }

    private static FloatVector load(MemorySegment from, long at) {
        return FloatVector.fromMemorySegment(Lanes.F32, from, at, Lanes.ORDER);
    }
}
