package dev.graft.bench.op;

import dev.graft.bench.Work;
import dev.graft.tensor.Grads;
import dev.graft.tensor.Tape;
import dev.graft.tensor.Tensor;
import dev.graft.tensor.op.Attention;
import java.util.List;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Setup;

/// Causal attention, forward and with its gradient.
///
/// Flops: the lower triangle of `q kᵀ` and `p v`, 2·B·H·T²·D together; the backward pass makes five such products where the forward makes two.
public class AttentionBench extends OpBench {
    public enum Pass {
        FORWARD, FORWARD_BACKWARD
    }

    /// Batch, tokens, query heads, key heads, head size.
    @Param({"4x256x12x12x64", "1x2048x32x8x64", "1x512x8x2x128"})
    public String shape;

    @Param
    public Pass pass;

    /// Tile by tile, or by way of all scores in memory.
    public enum Way {
        FLASH, PLAIN
    }

    @Param("FLASH")
    public Way way;

    private Tensor q;
    private Tensor k;
    private Tensor v;

    private int size(int i) {
        return size(shape, i);
    }

    @Setup
    public void fill() {
        q = input(size(0), size(1), size(2), size(4));
        k = input(size(0), size(1), size(3), size(4));
        v = input(size(0), size(1), size(3), size(4));
    }

    private Tensor attend(Tensor q, Tensor k, Tensor v) {
        Attention op = new Attention(0.125, true, false, false);
        return way == Way.FLASH ? op.apply(q, k, v) : op.define(List.of(q, k, v));
    }

    @Benchmark
    public double attention() {
        return switch (pass) {
            case FORWARD -> run(() -> attend(q, k, v));
            case FORWARD_BACKWARD -> {
                try (Tape tape = Tape.open(); Grads grads = Grads.open()) {
                    Tensor wq = tape.watch(q);
                    Tensor y = attend(wq, tape.watch(k), tape.watch(v));
                    tape.backward(y, q, grads);
                    y.backend().await();
                    yield grads.of(wq).shape().size();
                }
            }
        };
    }

    @Override
    public Work work() {
        double forward = 2.0 * size(0) * size(2) * size(1) * size(1) * size(4);
        return new Work(pass == Pass.FORWARD ? forward : 3.5 * forward, 0);
    }
}
