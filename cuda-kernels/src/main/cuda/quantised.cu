// Weights in few bits as numbers. Meaning: Q8MatMul.java, Nf4Dequantize.java.
//
//   q8_dequantize:   w[n, k] = scale[n, k / 32] q[n, k]
//   nf4_dequantize:  w[i] = value[code[i]] absmax[i / 64]            two codes a byte, the earlier in the upper half
//
// A little over 5 bytes a number, or 4.6.
#include "quantised.cuh"

KERNEL(256, q8_dequantize, (const signed char* q, const float* scale, float* w, i64 rows, int k)) {
    i64 blocks = (k + 31) / 32;
    for (i64 i = threadNumber(); i < rows * k; i += threadCount()) w[i] = scale[i / k * blocks + i % k / 32] * float(q[i]);
}

KERNEL(256, nf4_dequantize, (const u8* codes, Absmax absmax, float* w, i64 n)) {
    SHARED(float, values, [16]);
    if (threadIdx.x < 16) values[threadIdx.x] = nf4Value(threadIdx.x);
    __syncthreads();
    for (i64 i = threadNumber(); i < n; i += threadCount()) {
        u8 two = codes[i / 2];
        w[i] = values[i % 2 ? two & 15 : two >> 4] * absmax.at(i / 64);
    }
}
