// Sums along rows, of all up to each element or from each on. Meaning: Cumsum.java.
//
//   y[r, j] = x[r, 0] + ... + x[r, j]        reverse: x[r, j] + ... + x[r, n - 1]        x, y: [rows, n]
//
// A block for each row. Each thread adds up a stretch of its own, then what the threads before it have, and goes through the stretch once more. Read twice, written once.
#include "rows.cuh"

KERNEL(256, cumsum_f32, (const float* x, float* y, int n, int reverse)) {
    SHARED(float, sums, [BLOCK]);
    x += i64(blockIdx.x) * n;
    y += i64(blockIdx.x) * n;
    int t = threadIdx.x, length = (n + BLOCK - 1) / BLOCK, from = min(n, t * length), to = min(n, from + length);
    float own = 0;
    for (int j = from; j < to; j++) own += x[reverse ? n - 1 - j : j];
    sums[t] = own;
    __syncthreads();
    for (int by = 1; by < BLOCK; by *= 2) {
        float before = t >= by ? sums[t - by] : 0;
        __syncthreads();
        sums[t] += before;
        __syncthreads();
    }
    float sum = t ? sums[t - 1] : 0;
    for (int j = from; j < to; j++) {
        int at = reverse ? n - 1 - j : j;
        sum += x[at];
        y[at] = sum;
    }
}
