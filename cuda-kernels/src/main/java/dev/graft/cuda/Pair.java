package dev.graft.cuda;

import dev.graft.cuda.CudaKernel.Parameter;
import dev.graft.tensor.DType;
import dev.graft.tensor.backend.View;
import java.util.stream.Stream;

/// A kernel in two precisions: in F32 for it and what is stored in 16 bits, and in F64 for everything.
record Pair(CudaKernel single, CudaKernel all) {
    static Pair declare(String name, Parameter... parameters) {
        return new Pair(CudaKernel.declare(name + "_f32", parameters), CudaKernel.declare(name + "_f64", parameters));
    }

    /// The one for tensors of these types, on their device.
    Launch on(View... views) {
        boolean isSingle = Stream.of(views).allMatch(v -> isSingle(v.dtype()));
        return (isSingle ? single : all).on(Temporary.device(views[views.length - 1]));
    }

    static boolean isSingle(DType type) {
        return type == DType.F32 || type.isHalf();
    }
}
