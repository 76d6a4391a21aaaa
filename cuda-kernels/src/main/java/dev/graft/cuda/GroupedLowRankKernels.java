package dev.graft.cuda;

import static dev.graft.cuda.CudaKernel.Parameter.I32;
import static dev.graft.cuda.CudaKernel.Parameter.POINTER;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import dev.graft.cuda.CudaKernel.Parameter;
import dev.graft.tensor.DType;
import dev.graft.tensor.Shape;
import dev.graft.tensor.Spec;
import dev.graft.tensor.backend.View;
import dev.graft.tensor.op.GroupedLowRank;
import java.lang.foreign.MemorySegment;
import java.util.List;

/// Launches grouped_low_rank.cu, for up to 64 runs at a time.
final class GroupedLowRankKernels {
    private static final int MOST_RUNS = 64, RUN_BYTES = 40;
    private static final Parameter RUNS = Parameter.struct(MOST_RUNS * RUN_BYTES);
    private static final CudaKernel SHRINK = CudaKernel.declare("low_rank_shrink", RUNS, POINTER, POINTER, I32, I32),
            EXPAND = CudaKernel.declare("low_rank_expand", RUNS, POINTER, POINTER, I32, I32);

    private GroupedLowRankKernels() {
    }

    static void run(GroupedLowRank op, List<View> in, List<View> out) {
        View y = in.get(0), x = in.get(1), z = out.getFirst();
        Device device = Temporary.device(z);
        CopyKernels.copy(y, z);
        for (int first = 0; first < op.runs().size(); first += MOST_RUNS)
            add(op, first, Math.min(MOST_RUNS, op.runs().size() - first), in, x, z, device);
    }

    private static void add(GroupedLowRank op, int first, int count, List<View> in, View x, View z, Device device) {
        int pitch = 1;
        long rows = x.rows(), rowsOfEach = rows / x.dim(0), most = 1;
        for (int g = first; g < first + count; g++) {
            pitch = Math.max(pitch, in.get(2 + 2 * g).dim(0));
            most = Math.max(most, op.runs().get(g).to() - op.runs().get(g).from());
        }
        most *= rowsOfEach;
        try (Temporary h = Temporary.of(device, new Spec(Shape.of(Math.toIntExact(rows), pitch), DType.F32))) {
            Launch launch = SHRINK.on(device);
            write(launch, op, first, count, in, rowsOfEach);
            launch.pointer(x).pointer(h.view()).i32(x.dim(-1)).i32(pitch).run(blocks(most * pitch, 8), count, 1, 256);
            launch = EXPAND.on(device);
            write(launch, op, first, count, in, rowsOfEach);
            launch.pointer(h.view()).pointer(z).i32(z.dim(-1)).i32(pitch).run(blocks(most * z.dim(-1), 256), count, 1, 256);
        }
    }

    private static int blocks(long work, int ofBlock) {
        return Math.clamp(Math.ceilDiv(work, ofBlock), 1, 1 << 20);
    }

    private static void write(Launch launch, GroupedLowRank op, int first, int count, List<View> in, long rowsOfEach) {
        MemorySegment to = launch.struct(RUNS);
        for (int i = 0; i < count; i++) {
            GroupedLowRank.Run run = op.runs().get(first + i);
            View a = in.get(2 + 2 * (first + i)), b = in.get(3 + 2 * (first + i));
            long at = (long) i * RUN_BYTES;
            to.set(JAVA_LONG, at, Launch.address(a));
            to.set(JAVA_LONG, at + 8, Launch.address(b));
            to.set(JAVA_LONG, at + 16, run.from() * rowsOfEach);
            to.set(JAVA_LONG, at + 24, run.to() * rowsOfEach);
            to.set(JAVA_INT, at + 32, a.dim(0));
            to.set(JAVA_FLOAT, at + 36, (float) run.s());
        }
    }
}
