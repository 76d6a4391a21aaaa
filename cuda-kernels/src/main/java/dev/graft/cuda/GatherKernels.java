package dev.graft.cuda;

import static dev.graft.cuda.CudaKernel.Parameter.I32;
import static dev.graft.cuda.CudaKernel.Parameter.I64;
import static dev.graft.cuda.CudaKernel.Parameter.POINTER;

import dev.graft.tensor.DType;
import dev.graft.tensor.backend.View;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/// Launches gather.cu.
final class GatherKernels {
    private static final Map<Integer, CudaKernel> GATHER = Stream.of(1, 2, 4, 8, 16)
            .collect(Collectors.toMap(bytes -> bytes,
                    bytes -> CudaKernel.declare("gather_" + bytes, POINTER, I64, I64, POINTER, I32, POINTER, I64, I64, POINTER)));
    private static final Pair SCATTER_ADD = Pair.declare("scatter_add", POINTER, I32, POINTER, POINTER, I32, I64, I64, I64, POINTER);

    private GatherKernels() {
    }

    static void gather(View table, View indices, View y) {
        if (!table.isContiguousFrom(1)) {
            try (Temporary rows = Temporary.contiguous(table)) {
                gather(rows.view(), indices, y);
            }
            return;
        }
        try (Temporary contiguous = Temporary.contiguous(indices)) {
            View index = contiguous.view();
            int size = table.dtype().bytes();
            long row = table.shape().range(1, table.rank()).size() * size, step = table.stride(0) * size;
            if (row == 0 || index.size() == 0) return;
            int unit = unit(row | step | Launch.address(table) | Launch.address(y));
            GATHER.get(unit).on(Temporary.device(y)).pointer(table).i64(table.dim(0)).i64(step / unit).pointer(index)
                    .i32(index.dtype() == DType.I64 ? 1 : 0).pointer(y).i64(index.size())
                    .i64(row / unit).fault().over(index.size() * row / unit);
        }
    }

    /// The most bytes, up to 16, that divide all of what these bits are of.
    private static int unit(long bits) {
        return (int) Math.min(16, Long.lowestOneBit(bits));
    }

    static void scatterAdd(View indices, View rows, View y) {
        try (Temporary contiguous = Temporary.contiguous(indices); Temporary from = Temporary.contiguous(rows)) {
            View index = contiguous.view(), x = from.view();
            long row = y.shape().range(1, y.rank()).size();
            if (y.size() == 0) return;
            Temporary.device(y).zero(Launch.address(y), y.spec().bytes());
            SCATTER_ADD.on(x, y).pointer(index).i32(index.dtype() == DType.I64 ? 1 : 0).pointer(x).pointer(y).i32(y.dtype().ordinal())
                    .i64(index.size()).i64(row).i64(y.dim(0)).fault().over(row);
        }
    }
}
