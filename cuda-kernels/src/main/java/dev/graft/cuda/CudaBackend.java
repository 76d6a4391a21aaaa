package dev.graft.cuda;

import dev.graft.cuda.driver.Blas;
import dev.graft.tensor.Spec;
import dev.graft.tensor.backend.Backend;
import dev.graft.tensor.backend.KernelTable;
import dev.graft.tensor.backend.MemoryStats;
import dev.graft.tensor.backend.Storage;
import dev.graft.tensor.backend.View;
import dev.graft.tensor.op.Affine;
import dev.graft.tensor.op.Attention;
import dev.graft.tensor.op.AttentionGrad;
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
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.Optional;

/// One NVIDIA GPU, by the kernels in `src/main/cuda`. Calls return before the device has done what they asked; reading values waits.
///
/// With the system property `graft.cuda.graphs=true` what is done [#together] is handed over as CUDA graphs.
final class CudaBackend implements Backend {
    private static final int PREFERENCE = 20;

    private final Device device;

    CudaBackend(Device device) {
        this.device = device;
    }

    @Override
    public String name() {
        return device.toString();
    }

    @Override
    public String description() {
        return "%s, compute capability %.1f, %.1f GiB, driver of CUDA %d.%d through %s, matrix products by %s".formatted(device.name(),
                device.capability() / 10.0, (double) device.totalMemory() / (1L << 30), device.driver().version() / 1000,
                device.driver().version() % 1000 / 10, device.driver().binding(), device.blas().map(Blas::name).orElse("Graft's kernels"));
    }

    @Override
    public int preference() {
        return PREFERENCE;
    }

    @Override
    public Storage allocate(long bytes, String holder) {
        try {
            return device.pool().allocate(bytes, holder);
        } catch (OutOfMemoryError e) {
            device.settle();                                                     // what waited held memory, too
            return device.pool().allocate(bytes, holder);
        }
    }

    @Override
    public Optional<Storage> wrap(MemorySegment host) {
        return Optional.empty();
    }

    @Override
    public void run(Primitive op, List<View> in, View out) {
        if (device.chain().add(op, in, out)) return;
        device.settle();                                                         // before memory for what is made on the way
        launch(op, in, out);
    }

    static void launch(Primitive op, List<View> in, View out) {
        switch (op) {
            case MatMul m -> MatMulKernels.run(m, in.get(0), in.get(1), out);
            case Unary f -> UnaryKernels.value(f, in.getFirst(), out);
            case UnaryGrad(Unary f) -> UnaryKernels.grad(f, in.get(0), in.get(1), out);
            case Binary f -> BinaryKernels.binary(f, in.get(0), in.get(1), out);
            case Affine a -> BinaryKernels.affine(a, in.getFirst(), out);
            case Where _ -> BinaryKernels.where(in.get(0), in.get(1), in.get(2), out);
            case Copy _ -> CopyKernels.copy(in.getFirst(), out);
            case Cast _ -> CopyKernels.cast(in.getFirst(), out);
            case Cat c -> CopyKernels.cat(c, in, out);
            case Reduce r -> ReduceKernels.run(r, in.getFirst(), out);
            case Gather _ -> GatherKernels.gather(in.get(0), in.get(1), out);
            case ScatterAdd _ -> GatherKernels.scatterAdd(in.get(0), in.get(1), out);
            case Fill f -> FillKernels.fill(f, out);
            case Range r -> FillKernels.range(r, out);
            case Random r -> FillKernels.random(r, out);
        }
    }

    @Override
    public <O extends Composite> KernelTable.Entry<O> kernel(O op, List<Spec> in) {
        boolean isGrad = op instanceof AttentionGrad;
        if ((isGrad || op instanceof Attention) && !AttentionKernels.take(device, in.getFirst().shape(), isGrad)) return null;
        KernelTable.Entry<O> entry = CudaKernels.TABLE.find(op, in);
        if (entry != null) device.settle();                                      // before memory for its results
        return entry;
    }

    @Override
    public void copyIn(MemorySegment host, View to) {
        device.toDevice(host.asSlice(0, to.spec().bytes()), Launch.address(to));
    }

    @Override
    public void copyOut(View from, MemorySegment host) {
        device.toHost(Launch.address(from), host.asSlice(0, from.spec().bytes()));
    }

    @Override
    public void await() {
        device.await();
    }

    @Override
    public void together(String name, Runnable work) {
        device.together(name, work);
    }

    @Override
    public MemoryStats memory() {
        device.settle();
        return device.pool().stats();
    }

    @Override
    public void restartPeak() {
        device.settle();
        device.pool().restartPeak();
    }

    @Override
    public void trim() {
        device.settle();
        device.pool().trim();
    }
}
