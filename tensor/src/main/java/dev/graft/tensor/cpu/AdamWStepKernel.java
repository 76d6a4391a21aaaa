package dev.graft.tensor.cpu;

import dev.graft.tensor.backend.View;
import dev.graft.tensor.op.AdamWStep;
import java.lang.foreign.MemorySegment;
import java.util.List;
import jdk.incubator.vector.FloatVector;

/// [AdamWStep] in one pass, in place.
///
/// ```
/// m ← m + (1 − β₁)(g − m)        v ← v + (1 − β₂)(g² − v)
/// p ← p (1 − lr · weight_decay) − (lr / c₁) · m / (√v / √c₂ + eps)        c = 1 − βᵗ
/// ```
final class AdamWStepKernel {
    private AdamWStepKernel() {
    }

    static void run(AdamWStep op, List<View> in, List<View> out) {
        float rate = (float) (op.lr() / op.correction(op.beta1()));
        float root = (float) (1 / Math.sqrt(op.correction(op.beta2())));
        float decay = (float) (1 - op.lr() * op.weightDecay());
        float mix1 = (float) (1 - op.beta1());
        float mix2 = (float) (1 - op.beta2());
        float eps = (float) op.eps();
        int tensors = in.size() / 4;
        for (int i = 0; i < tensors; i++) {
            List<View> pmvg = List.of(in.get(i), in.get(tensors + i), in.get(2 * tensors + i), in.get(3 * tensors + i));
            Blocks.of(pmvg, out.get(i), out.get(tensors + i), out.get(2 * tensors + i)).run((s, at, n) -> {
                AdamMomentsKernel.block(s[1], at[1], s[2], at[2], s[3], at[3], mix1, mix2, s[5], at[5], s[6], at[6], n);
                step(s[0], at[0], s[5], at[5], s[6], at[6], rate, root, decay, eps, s[4], at[4], n);
            });
        }
    }

    private static void step(
            MemorySegment p, long po, MemorySegment m, long mo, MemorySegment v, long vo, float rate, float root, float decay, float eps,
            MemorySegment p1,
            long p1o, int n) {
        for (int i = 0; i < n; i += Lanes.LENGTH) {
            FloatVector direction = load(m, mo + i * 4L).mul(rate).div(load(v, vo + i * 4L).sqrt().mul(root).add(eps));
            load(p, po + i * 4L).mul(decay).sub(direction).intoMemorySegment(p1, p1o + i * 4L, Lanes.ORDER);
        }
    }

    private static FloatVector load(MemorySegment from, long at) {
        return FloatVector.fromMemorySegment(Lanes.F32, from, at, Lanes.ORDER);
    }
}
