package dev.graft.tensor.cpu;

import dev.graft.tensor.backend.View;
import dev.graft.tensor.op.Nf4;
import dev.graft.tensor.op.Nf4Dequantize;
import java.util.List;

/// [Nf4Dequantize], some blocks at a time.
final class Nf4DequantizeKernel {
    private static final int CHUNK = 64 * Nf4.BLOCK;

    private Nf4DequantizeKernel() {
    }

    static void run(Nf4Dequantize op, List<View> in, List<View> out) {
        View codes = in.getFirst(), w = out.getFirst();
        Absmax absmax = Absmax.of(in.subList(1, in.size()));
        long size = (long) op.rows() * op.cols();
        Parallel.range(Math.ceilDiv(size, CHUNK), 16, (from, to) -> {
            for (long chunk = from; chunk < to; chunk++) {
                long first = chunk * CHUNK;
                Gemm.KERNELS.widenNf4(codes.segment(), codes.byteOffset(), first, absmax, w.segment(), w.byteOffset() + first * 4,
                        (int) Math.min(CHUNK, size - first));
            }
        });
    }
}
