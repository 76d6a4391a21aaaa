package dev.graft.cuda;

import static dev.graft.cuda.CudaKernel.Parameter.I32;
import static dev.graft.cuda.CudaKernel.Parameter.I64;
import static dev.graft.cuda.CudaKernel.Parameter.OPERAND;
import static dev.graft.cuda.CudaKernel.Parameter.POINTER;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import dev.graft.cuda.CudaKernel.Parameter;
import dev.graft.tensor.DType;
import dev.graft.tensor.Shape;
import dev.graft.tensor.Spec;
import dev.graft.tensor.backend.View;
import dev.graft.tensor.op.Attention;
import dev.graft.tensor.op.AttentionGrad;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/// Launches attention.cu and attention_grad.cu.
final class AttentionKernels {
    private static final Parameter SCORES = Parameter.struct(32 + 2 * OPERAND.size()), HEADS = Parameter.struct(40),
            PARTS = Parameter.struct(24);

    /// Kernels for heads up to a width.
    private record OfWidth(CudaKernel ofFewRows, CudaKernel ofRows, CudaKernel gradQ, CudaKernel gradKv) {
        static OfWidth declare(int d) {
            int tile = 4 * 32 * (d + 4);
            return new OfWidth(forward("attention_r1_d" + d, tile), forward("attention_r4_d" + d, tile),
                    CudaKernel.declareShared("attention_grad_q_d" + d, 4 * tile, SCORES, HEADS, HEADS, HEADS, HEADS, POINTER, POINTER,
                            POINTER),
                    CudaKernel.declareShared("attention_grad_kv_d" + d, 4 * tile, SCORES, HEADS, HEADS, HEADS, HEADS, POINTER, POINTER,
                            POINTER, POINTER));
        }

        private static CudaKernel forward(String name, int tile) {
            return CudaKernel.declareShared(name, 3 * tile, SCORES, HEADS, HEADS, HEADS, POINTER, POINTER, PARTS);
        }
    }

    private static final TreeMap<Integer, OfWidth> BY_WIDTH = new TreeMap<>(
            Map.of(64, OfWidth.declare(64), 128, OfWidth.declare(128), 256, OfWidth.declare(256)));
    private static final CudaKernel JOIN = CudaKernel.declare("attention_join", PARTS, I32, POINTER, POINTER, I32, I32, I32, I32),
            ALONG = CudaKernel.declare("attention_along", HEADS, HEADS, POINTER, I64, I32, I32, I32);
    private static final int MOST_BLOCKS = 65_535;                               // along a launch's second axis
    private static final int KEYS = 32, ROWS = 32, FEW_ROWS = 8;

    /// Keys that are worth a block of their own.
    private static final int CHUNK = 256;

    private AttentionKernels() {
    }

    /// Whether there is a kernel for queries of a shape. The gradient's tiles of the widest heads are more than the shared memory of a block on some chips (8.6, 8.9).
    static boolean take(Device device, Shape q, boolean isGrad) {
        var kernels = BY_WIDTH.ceilingEntry(q.dim(3));
        if (kernels == null || (long) q.dim(0) * q.dim(2) > MOST_BLOCKS) return false;
        CudaKernel kernel = isGrad ? kernels.getValue().gradQ : kernels.getValue().ofRows;
        return kernel.sharedBytes() <= device.sharedMemory();
    }

    /// Heads where they lie, their numbers together: a copy of those that lie otherwise.
    private static Temporary heads(View v) {
        return v.stride(-1) == 1 || v.dim(-1) == 1 ? held(v) : Temporary.contiguous(v);
    }

    private static Temporary held(View v) {
        v.storage().retain();
        return new Temporary((DeviceStorage) v.storage(), v);
    }

    private static void write(Launch launch, View v) {
        MemorySegment to = launch.struct(HEADS);
        to.set(JAVA_LONG, 0, Launch.address(v));
        to.set(JAVA_INT, 8, v.dtype().ordinal());
        to.set(JAVA_INT, 12, 0);
        for (int axis = 0; axis < 3; axis++) to.set(JAVA_LONG, 16 + 8L * axis, v.stride(axis));
    }

    /// @param in q, k, v, then mask and bias as the op has them
    private static void write(Launch launch, Attention op, List<View> in) {
        View q = in.get(0), k = in.get(1);
        MemorySegment to = launch.struct(SCORES);
        to.fill((byte) 0);
        int[] numbers = {q.dim(1), k.dim(1), q.dim(2), q.dim(2) / k.dim(2), q.dim(3)};
        for (int i = 0; i < numbers.length; i++) to.setAtIndex(JAVA_INT, i, numbers[i]);
        to.setAtIndex(JAVA_FLOAT, 5, (float) op.scale());
        to.setAtIndex(JAVA_INT, 6, op.causal() ? 1 : 0);
        if (op.masked()) Launch.write(to.asSlice(32), in.get(3));
        if (op.biased())
            Launch.write(to.asSlice(32 + OPERAND.size()), in.getLast().expand(Shape.of(q.dim(0), q.dim(2), q.dim(1), k.dim(1))));
    }

    static void attention(Attention op, List<View> in, List<View> out) {
        View y = out.get(0), lse = out.get(1);
        if (y.size() == 0) return;
        Device device = Temporary.device(y);
        try (Temporary q = heads(in.get(0)); Temporary k = heads(in.get(1)); Temporary v = heads(in.get(2))) {
            int batch = y.dim(0), keyHeads = k.view().dim(2), rows = y.dim(1) * (y.dim(2) / keyHeads), keys = k.view().dim(1), d = y.dim(3);
            boolean isFew = rows <= FEW_ROWS;
            int blocks = Math.ceilDiv(rows, isFew ? FEW_ROWS : ROWS), parts = parts((long) blocks * batch * keyHeads, keys, device);
            OfWidth kernels = BY_WIDTH.ceilingEntry(d).getValue();
            Launch launch = (isFew ? kernels.ofFewRows : kernels.ofRows).on(device);
            write(launch, op, in);
            for (Temporary t : List.of(q, k, v)) write(launch, t.view());
            launch.pointer(y).pointer(lse);
            if (parts == 1) {
                launch.struct(PARTS).fill((byte) 0);
                launch.run(blocks, batch * keyHeads, 1, 256);
                return;
            }
            long all = lse.size() * parts;
            try (Temporary memory = Temporary.of(device, Spec.of(DType.F32, Math.toIntExact(all * (d + 2))))) {
                long first = Launch.address(memory.view());
                writeParts(launch, first, all, d);
                launch.run(blocks, batch * keyHeads, parts, 256);
                Launch join = JOIN.on(device);
                writeParts(join, first, all, d);
                join.i32(parts).pointer(y).pointer(lse).i32(Math.toIntExact(lse.size())).i32(y.dim(2)).i32(y.dim(1)).i32(d)
                        .run(Math.toIntExact(Math.ceilDiv(lse.size(), 8)), 1, 1, 256);
            }
        }
    }

    private static void writeParts(Launch launch, long first, long all, int d) {
        MemorySegment to = launch.struct(PARTS);
        to.setAtIndex(JAVA_LONG, 0, first);
        to.setAtIndex(JAVA_LONG, 1, first + 4 * all * d);
        to.setAtIndex(JAVA_LONG, 2, first + 4 * all * (d + 1));
    }

    /// Among how many blocks the keys are shared.
    private static int parts(long blocks, int keys, Device device) {
        return Math.clamp(2L * device.multiprocessors() / Math.max(1, blocks), 1, Math.max(1, keys / CHUNK));
    }

    /// In: dy, y, lse, then those of the forward op.
    static void grad(AttentionGrad op, List<View> in, List<View> out) {
        Attention forward = op.forward();
        List<View> inputs = in.subList(3, in.size());
        View lse = in.get(2), dq = out.get(0), dk = out.get(1), dv = out.get(2);
        Device device = Temporary.device(dq);
        int batch = dq.dim(0), t = dq.dim(1), h = dq.dim(2), d = dq.dim(3), keyHeads = dk.dim(2), keys = dk.dim(1),
                rows = t * (h / keyHeads);
        if (dq.size() == 0) {
            for (View each : List.of(dk, dv)) if (each.size() > 0) device.zero(Launch.address(each), each.spec().bytes());
            return;
        }
        OfWidth kernels = BY_WIDTH.ceilingEntry(d).getValue();
        try (Temporary dy = heads(in.get(0));
                Temporary y = heads(in.get(1));
                Temporary q = heads(inputs.get(0));
                Temporary k = heads(inputs.get(1));
                Temporary v = heads(inputs.get(2));
                Temporary sums = Temporary.contiguous(lse);
                Temporary along = Temporary.of(device, lse.spec())) {
            Launch launch = ALONG.on(device);
            write(launch, dy.view());
            write(launch, y.view());
            launch.pointer(along.view()).i64(lse.size()).i32(h).i32(t).i32(d).run(Math.toIntExact(Math.ceilDiv(lse.size(), 8)), 1, 1, 256);

            launch = kernels.gradQ.on(device);
            write(launch, forward, inputs);
            for (Temporary each : List.of(dy, q, k, v)) write(launch, each.view());
            launch.pointer(sums.view()).pointer(along.view()).pointer(dq).run(Math.ceilDiv(rows, ROWS), batch * keyHeads, 1, 256);

            launch = kernels.gradKv.on(device);
            write(launch, forward, inputs);
            for (Temporary each : List.of(dy, q, k, v)) write(launch, each.view());
            launch.pointer(sums.view()).pointer(along.view()).pointer(dk).pointer(dv).run(Math.ceilDiv(keys, KEYS), batch * keyHeads, 1,
                    256);
        }
    }
}
