package dev.graft.cuda;

import static dev.graft.tensor.DType.BF16;
import static dev.graft.tensor.DType.F16;
import static dev.graft.tensor.DType.F32;
import static dev.graft.tensor.DType.I8;

import dev.graft.tensor.backend.KernelTable;
import dev.graft.tensor.op.AdamMoments;
import dev.graft.tensor.op.AdamWStep;
import dev.graft.tensor.op.AddMm;
import dev.graft.tensor.op.Attention;
import dev.graft.tensor.op.AttentionGrad;
import dev.graft.tensor.op.CrossEntropy;
import dev.graft.tensor.op.CrossEntropyGrad;
import dev.graft.tensor.op.Cumsum;
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
import dev.graft.tensor.op.SquaredNorms;
import dev.graft.tensor.op.SwiGlu;
import dev.graft.tensor.op.SwiGluGrad;
import java.util.List;

/// What this backend is good at, at a glance.
final class CudaKernels {
    static final KernelTable TABLE = KernelTable.builder()
            .add(Softmax.class, F32, RowKernels::softmax)
            .add(LogSoftmax.class, F32, RowKernels::logSoftmax)
            .add(RmsNorm.class, F32, RowKernels::rmsNorm)
            .add(RmsNormGrad.class, F32, RowKernels::rmsNormGrad)
            .add(LayerNorm.class, F32, RowKernels::layerNorm)
            .add(LayerNormGrad.class, F32, RowKernels::layerNormGrad)
            .add(CrossEntropy.class, F32, RowKernels::crossEntropy)
            .add(CrossEntropyGrad.class, F32, RowKernels::crossEntropyGrad)
            .add(Cumsum.class, F32, RowKernels::cumsum)
            .add(Rope.class, F32, PointKernels::rope)
            .add(SwiGlu.class, F32, PointKernels::swiGlu)
            .add(SwiGluGrad.class, F32, PointKernels::swiGluGrad)
            .add(Dropout.class, F32, FillKernels::dropout)
            .addStrided(Perturb.class, F32, FillKernels::perturb)
            .addStrided(Perturb.class, BF16, FillKernels::perturb)
            .addStrided(Perturb.class, F16, FillKernels::perturb)
            .add(AdamWStep.class, F32, OptimizerKernels::adamW)
            .add(AdamMoments.class, F32, OptimizerKernels::moments)
            .add(MoFoStep.class, F32, OptimizerKernels::moFo)
            .add(SquaredNorms.class, F32, OptimizerKernels::squaredNorms)
            .add(KthLargest.class, F32, OptimizerKernels::kthLargest)
            .add(GroupedLowRank.class, F32, GroupedLowRankKernels::run)
            .add(AddMm.class, F32, MatMulKernels::addMm)
            .addStrided(Attention.class, F32, AttentionKernels::attention)
            .addStrided(AttentionGrad.class, F32, AttentionKernels::grad)
            .add(Q8MatMul.class, F32, QuantisedKernels::q8MatMul)
            .add(Nf4MatMul.class, F32, QuantisedKernels::nf4MatMul)
            .add(Nf4Dequantize.class, I8, QuantisedKernels::nf4Dequantize)
            .widening(List.of(Attention.class, AttentionGrad.class, Perturb.class))
            .build();

    private CudaKernels() {
    }
}
