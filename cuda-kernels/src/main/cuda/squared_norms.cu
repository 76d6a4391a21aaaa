// Sums of squares of many tensors. Meaning: SquaredNorms.java.
//
//   part[t, b] = sum of x_t[i]^2 over the i of block b                        x_t: any shape, row-major; part: [tensors, blocks], which reduce.cu adds up
//
// Each tensor has the same number of blocks, so that a sum is the same in every run. 4 bytes an element.
#include "rows.cuh"

struct Values {
    const float* x;
    i64 n;
};
// As many as fit into the 4 KiB that a launch may take along.
struct Many {
    Values of[240];
};

KERNEL(256, squared_norms_f32, (const __grid_constant__ Many tensors, float* part)) {
    const Values& t = tensors.of[blockIdx.y];
    float sum = 0;
    for (i64 i = threadNumber(); i < t.n; i += threadCount()) sum = fmaf(t.x[i], t.x[i], sum);
    sum = rowFold<BLOCK, Sum>(sum);
    if (threadIdx.x == 0) part[i64(blockIdx.y) * gridDim.x + blockIdx.x] = sum;
}
