package dev.graft.tensor.cpu;

import static dev.graft.tensor.DType.BF16;
import static dev.graft.tensor.DType.F16;
import static dev.graft.tensor.DType.F32;
import static dev.graft.tensor.DType.I8;

import dev.graft.tensor.backend.KernelTable;
import dev.graft.tensor.op.AdamMoments;
import dev.graft.tensor.op.AdamWStep;
import dev.graft.tensor.op.Attention;
import dev.graft.tensor.op.AttentionGrad;
import dev.graft.tensor.op.Composite;
import dev.graft.tensor.op.CrossEntropy;
import dev.graft.tensor.op.CrossEntropyGrad;
import dev.graft.tensor.op.Dropout;
import dev.graft.tensor.op.GroupedLowRank;
import dev.graft.tensor.op.KthLargest;
import dev.graft.tensor.op.LayerNorm;
import dev.graft.tensor.op.LayerNormGrad;
import dev.graft.tensor.op.LogSoftmax;
import dev.graft.tensor.op.MoFoStep;
import dev.graft.tensor.op.Nf4Dequantize;
import dev.graft.tensor.op.Nf4MatMul;
import dev.graft.tensor.op.Perturb;
import dev.graft.tensor.op.Q8MatMul;
import dev.graft.tensor.op.RmsNorm;
import dev.graft.tensor.op.RmsNormGrad;
import dev.graft.tensor.op.Rope;
import dev.graft.tensor.op.Softmax;
import dev.graft.tensor.op.SwiGlu;
import dev.graft.tensor.op.SwiGluGrad;
import java.util.List;

/// What this backend is good at, at a glance.
final class CpuKernels {
    /// Attention hands keys and values to the matrix product, which widens them, and a perturbation widens by itself.
    private static final List<Class<? extends Composite>> WIDENING = List.of(Attention.class, AttentionGrad.class, Perturb.class);

    static final KernelTable TABLE = VectorWidth.isVector() ? vectors() : scalars();

    private CpuKernels() {
    }

    private static KernelTable vectors() {
        return KernelTable.builder()
                .add(Softmax.class, F32, SoftmaxKernel::run)
                .add(LogSoftmax.class, F32, LogSoftmaxKernel::run)
                .add(RmsNorm.class, F32, RmsNormKernel::run)
                .add(RmsNormGrad.class, F32, RmsNormGradKernel::run)
                .add(LayerNorm.class, F32, LayerNormKernel::run)
                .add(LayerNormGrad.class, F32, LayerNormGradKernel::run)
                .add(Rope.class, F32, RopeKernel::run)
                .add(SwiGlu.class, F32, SwiGluKernel::run)
                .add(SwiGluGrad.class, F32, SwiGluGradKernel::run)
                .add(CrossEntropy.class, F32, CrossEntropyKernel::run)
                .add(CrossEntropyGrad.class, F32, CrossEntropyGradKernel::run)
                .add(Dropout.class, F32, DropoutKernel::run)
                .add(AdamWStep.class, F32, AdamWStepKernel::run)
                .add(AdamMoments.class, F32, AdamMomentsKernel::run)
                .add(MoFoStep.class, F32, MoFoStepKernel::run)
                .add(KthLargest.class, F32, KthLargestKernel::run)
                .add(GroupedLowRank.class, F32, GroupedLowRankKernel::run)
                .add(Perturb.class, F32, PerturbKernel::run)
                .add(Perturb.class, BF16, PerturbKernel::run)
                .add(Perturb.class, F16, PerturbKernel::run)
                .addStrided(Attention.class, F32, AttentionKernel::run)
                .addStrided(AttentionGrad.class, F32, AttentionGradKernel::run)
                .add(Q8MatMul.class, F32, Q8MatMulKernel::run)
                .add(Nf4MatMul.class, F32, Nf4MatMulKernel::run)
                .add(Nf4Dequantize.class, I8, Nf4DequantizeKernel::run)
                .widening(WIDENING)
                .build();
    }

    /// Without vectors the definitions do, but for quantised weights, which are not to be widened whole, and where a definition takes many passes, or much memory.
    private static KernelTable scalars() {
        return KernelTable.builder()
                .add(KthLargest.class, F32, KthLargestKernel::run)
                .add(Perturb.class, F32, PerturbKernel::run)
                .add(Perturb.class, BF16, PerturbKernel::run)
                .add(Perturb.class, F16, PerturbKernel::run)
                .add(Q8MatMul.class, F32, Q8MatMulKernel::run)
                .add(Nf4MatMul.class, F32, Nf4MatMulKernel::run)
                .add(Nf4Dequantize.class, I8, Nf4DequantizeKernel::run)
                .widening(WIDENING)
                .build();
    }
}
