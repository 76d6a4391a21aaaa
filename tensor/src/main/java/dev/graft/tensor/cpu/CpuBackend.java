package dev.graft.tensor.cpu;

import dev.graft.tensor.Spec;
import dev.graft.tensor.backend.Backend;
import dev.graft.tensor.backend.HostMemory;
import dev.graft.tensor.backend.KernelTable;
import dev.graft.tensor.backend.MemoryStats;
import dev.graft.tensor.backend.Storage;
import dev.graft.tensor.backend.View;
import dev.graft.tensor.op.Affine;
import dev.graft.tensor.op.Binary;
import dev.graft.tensor.op.Cast;
import dev.graft.tensor.op.Cat;
import dev.graft.tensor.op.Composite;
import dev.graft.tensor.op.Copy;
import dev.graft.tensor.op.Fill;
import dev.graft.tensor.op.Gather;
import dev.graft.tensor.op.MatMul;
import dev.graft.tensor.op.Primitive;
import dev.graft.tensor.op.Random;
import dev.graft.tensor.op.Range;
import dev.graft.tensor.op.Reduce;
import dev.graft.tensor.op.ScatterAdd;
import dev.graft.tensor.op.Unary;
import dev.graft.tensor.op.UnaryGrad;
import dev.graft.tensor.op.Where;
import dev.graft.tensor.reference.Loops;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.Optional;

/// The CPU, by the Vector API and all cores. What has no kernel here (F64 and integer arithmetic, rare functions) runs in the reference loops, side by
/// side; so does everything but matrix products in a JVM without vectors, where composites run by their definitions.
public final class CpuBackend implements Backend {
    @Override
    public String name() {
        return "cpu";
    }

    @Override
    public String description() {
        return (VectorWidth.isVector() ? "vectors of " + VectorWidth.BITS + " bits" : "no vectors") + ", " + Parallel.threads()
                + " threads";
    }

    @Override
    public int preference() {
        return 10;
    }

    @Override
    public Storage allocate(long bytes, String holder) {
        return HostMemory.shared().allocate(bytes);
    }

    @Override
    public Optional<Storage> wrap(MemorySegment host) {
        return Optional.of(HostMemory.wrap(host));
    }

    @Override
    public void run(Primitive op, List<View> in, View out) {
        switch (op) {
            case MatMul m -> MatMulKernel.run(m, in.get(0), in.get(1), out);
            case Copy _ -> CopyKernel.run(in.getFirst(), out);
            case Cat c -> CatKernel.run(c, in, out);
            case Cast _ -> CastKernel.run(in.getFirst(), out);
            case Gather _ -> GatherKernel.run(in.get(0), in.get(1), out);
            case Fill f -> FillKernel.run(f, out);
            case Random r -> RandomKernel.run(r, out);
            case Range _ -> Loops.run(op, in, out);
            case Unary _,UnaryGrad _,Binary _,Affine _,Where _,Reduce _,ScatterAdd _ -> arithmetic(op, in, out);
        }
    }

    private static void arithmetic(Primitive op, List<View> in, View out) {
        if (out.dtype().isHalf() || in.stream().anyMatch(v -> v.dtype().isHalf())) wide(op, in, out);
        else if (!VectorWidth.isVector() || !VectorPrimitives.run(op, in, out)) Sliced.run(op, in, out);
    }

    /// Half precision is a way of storing: widened, computed with, narrowed.
    private static void wide(Primitive op, List<View> in, View out) {
        List<Temporary> inputs = in.stream().map(Temporary::widened).toList();
        try (Temporary result = Temporary.of(out.spec().with(out.dtype().computed()))) {
            arithmetic(op, inputs.stream().map(Temporary::view).toList(), result.view());
            CastKernel.run(result.view(), out);
        } finally {
            inputs.forEach(Temporary::close);
        }
    }

    @Override
    public <O extends Composite> KernelTable.Entry<O> kernel(O op, List<Spec> in) {
        return CpuKernels.TABLE.find(op, in);
    }

    @Override
    public void copyIn(MemorySegment host, View to) {
        MemorySegment.copy(host, 0, to.segment(), to.byteOffset(), to.spec().bytes());
    }

    @Override
    public void copyOut(View from, MemorySegment host) {
        MemorySegment.copy(from.segment(), from.byteOffset(), host, 0, from.spec().bytes());
    }

    @Override
    public MemoryStats memory() {
        return HostMemory.shared().stats();
    }

    @Override
    public void restartPeak() {
        HostMemory.shared().restartPeak();
    }

    @Override
    public void trim() {
        HostMemory.shared().trim();
    }
}
