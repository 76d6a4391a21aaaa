package dev.graft.nn;

import dev.graft.tensor.DType;
import dev.graft.tensor.Scope;
import dev.graft.tensor.Spec;
import dev.graft.tensor.Tensor;
import dev.graft.tensor.TensorException;
import dev.graft.tensor.backend.HostMemory;
import dev.graft.tensor.backend.Storage;
import dev.graft.tensor.op.Nf4;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;

/// Numbers to [Nf4] as bitsandbytes makes it: codes by the scales as they are, then the scales quantised in their turn.
///
/// ```
/// absmax[b] = max |w| of block b        code[i] = code of w[i]/absmax[i/64]
/// offset = mean absmax        nested[g] = max |absmax − offset| of 256 blocks        code[b] = code of (absmax[b] − offset)/nested[b/256]
/// ```
final class Nf4Encoding {
    /// Values worked on at a time: whole groups of scales.
    static final int CHUNK = Nf4.BLOCK * Nf4.NESTED_BLOCK << 8;

    private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT_UNALIGNED;

    private final byte[] codes;
    private final float[] absmax;

    /// A large tensor is not held in F32.
    private Nf4Encoding(Tensor w) {
        long size = w.shape().size();
        if (size > Integer.MAX_VALUE - CHUNK) throw new TensorException("a weight of " + w.shape() + " is too large to be stored as nf4");
        codes = new byte[(int) Math.ceilDiv(size, 2)];
        absmax = new float[(int) Math.ceilDiv(size, Nf4.BLOCK)];
        Storage staging = HostMemory.shared().allocate(Math.min(size, CHUNK) * 4L);
        MemorySegment values = staging.segment();
        try (var _ = Scope.untracked()) {
            Tensor flat = w.contiguous().reshape(-1);
            for (int from = 0; from < size; from += CHUNK) {
                int to = (int) Math.min(size, from + CHUNK), first = from;
                try (var _ = Scope.open(w.backend())) {
                    flat.slice(0, from, to).to(DType.F32).copyTo(values.asSlice(0, (to - from) * 4L));
                    IntStream.range(from / Nf4.BLOCK, Math.ceilDiv(to, Nf4.BLOCK)).parallel().forEach(b -> block(b, values, first, to));
                }
            }
        } finally {
            staging.release();
        }
    }

    /// Codes and scales, as [dev.graft.tensor.op.Nf4MatMul] wants them.
    static List<Tensor> of(Tensor w, boolean nested) {
        Nf4Encoding e = new Nf4Encoding(w);
        List<Tensor> tensors = new ArrayList<>(List.of(bytes(e.codes)));
        tensors.addAll(nested ? nested(e.absmax) : List.of(Tensor.of(e.absmax)));
        return List.copyOf(tensors);
    }

    /// @param values those from the `first` one of all on, until `end`
    private void block(int b, MemorySegment values, int first, int end) {
        int from = b * Nf4.BLOCK, to = Math.min(from + Nf4.BLOCK, end);
        float max = 0;
        for (int i = from; i < to; i++) max = Math.max(max, Math.abs(values.getAtIndex(FLOAT, i - first)));
        if (!Float.isFinite(max)) throw new TensorException("a weight that is NaN or infinite cannot be stored as nf4");
        absmax[b] = max;
        for (int i = from; i < to; i += 2) {
            int even = code(values, i - first, max), odd = i + 1 < to ? code(values, i + 1 - first, max) : 0;
            codes[i / 2] = (byte) (even << 4 | odd);
        }
    }

    private static int code(MemorySegment values, int i, float max) {
        return Nf4.code(max == 0 ? 0 : values.getAtIndex(FLOAT, i) / max);
    }

    private static List<Tensor> nested(float[] absmax) {
        double sum = 0;
        for (float a : absmax) sum += a;
        float offset = (float) (sum / absmax.length);
        float[] centred = new float[absmax.length];
        for (int b = 0; b < centred.length; b++) centred[b] = absmax[b] - offset;
        byte[] quantised = new byte[absmax.length];
        float[] scales = new float[Math.ceilDiv(absmax.length, Nf4.NESTED_BLOCK)];
        for (int g = 0; g < scales.length; g++) {
            int from = g * Nf4.NESTED_BLOCK, to = Math.min(from + Nf4.NESTED_BLOCK, centred.length);
            scales[g] = max(centred, from, to);
            for (int b = from; b < to; b++) quantised[b] = (byte) Nf4.dynamicCode(scales[g] == 0 ? 0 : centred[b] / scales[g]);
        }
        return List.of(bytes(quantised), Tensor.of(scales), Tensor.scalar(DType.F32, offset));
    }

    private static float max(float[] values, int from, int to) {
        float max = 0;
        for (int i = from; i < to; i++) max = Math.max(max, Math.abs(values[i]));
        return max;
    }

    private static Tensor bytes(byte[] values) {
        return Tensor.of(MemorySegment.ofArray(values), Spec.of(DType.I8, values.length));
    }
}
