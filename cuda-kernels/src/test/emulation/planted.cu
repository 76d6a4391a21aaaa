// Kernels with a bug each: the checked build of the emulator must find them. See PlantedBugsTest.java.
#include "kernel.cuh"

KERNEL(64, planted_missing_barrier, (const float* x, float* y)) {
    SHARED(float, s, [64]);
    s[threadIdx.x] = x[threadIdx.x];
    y[threadIdx.x] = s[63 - threadIdx.x];
}
KERNEL(64, planted_missing_barrier_at_loop_end, (const float* x, float* y)) {
    SHARED(float, s, [64]);
    float sum = 0;
    for (int k = 0; k < 2; k++) {
        s[threadIdx.x] = x[threadIdx.x] + k;
        __syncthreads();
        sum += s[(threadIdx.x + 1) & 63];
    }
    y[threadIdx.x] = sum;
}
KERNEL(64, planted_global_overrun, (const float* x, float* y)) {
    int i = blockIdx.x * 64 + threadIdx.x;
    if (i <= 64) y[i] = x[0];
}
KERNEL(64, planted_shared_overrun, (const float* x, float* y)) {
    SHARED(float, a, [64]);
    SHARED(float, b, [64]);
    b[threadIdx.x] = 2;
    a[threadIdx.x] = x[threadIdx.x];
    __syncthreads();
    y[threadIdx.x] = a[threadIdx.x + 1] + b[threadIdx.x];
}
KERNEL(64, planted_uninitialised_shared, (const float* x, float* y)) {
    SHARED(float, s, [64]);
    if (threadIdx.x < 63) s[threadIdx.x] = x[threadIdx.x];
    __syncthreads();
    y[threadIdx.x] = s[threadIdx.x];
}
KERNEL(64, planted_uninitialised_global, (const float* x, float* y)) { y[threadIdx.x] = x[threadIdx.x]; }
KERNEL(64, planted_divergent_barrier, (const float* x, float* y)) {
    if (threadIdx.x < 40) __syncthreads();
    y[threadIdx.x] = x[threadIdx.x];
    if (threadIdx.x >= 40) __syncthreads();
}
KERNEL(32, planted_exited_lane, (const float* x, float* y)) {
    if (threadIdx.x == 31) return;
    y[threadIdx.x] = __shfl_xor_sync(ALL_LANES, x[threadIdx.x], 1);
}
struct __align__(16) Four {
    float v[4];
};
KERNEL(32, planted_misaligned, (const float* x, float* y)) {
    Four v = *reinterpret_cast<const Four*>(x + threadIdx.x);
    y[threadIdx.x] = v.v[0] + v.v[3];
}
KERNEL(32, planted_race_of_blocks, (const float* x, float* y)) { y[threadIdx.x] = x[threadIdx.x] + blockIdx.x; }
KERNEL(32, planted_copy_without_wait, (const float* x, float* y)) {
    SHARED(Four, s, [16]);
    if (threadIdx.x < 16) ptx::copy_async(&s[threadIdx.x], x + 4 * threadIdx.x);
    ptx::copy_commit();
    __syncthreads();
    y[threadIdx.x] = s[threadIdx.x / 2].v[0];
}
KERNEL(32, planted_warp_without_sync, (const float* x, float* y)) {
    SHARED(float, s, [32]);
    s[threadIdx.x] = x[threadIdx.x];
    float one = __shfl_xor_sync(ALL_LANES, 1.f, 1);
    y[threadIdx.x] = s[threadIdx.x ^ 1] * one;
}
KERNEL(32, planted_array_overrun, (const float* x, float* y)) {
    float a[4];
    int n = int(x[4]);
    for (int i = 0; i <= n; i++) a[i] = x[i];
    y[threadIdx.x] = a[n & 3];
}

// No bug: what a launch costs.
KERNEL(1024, does_nothing, (const float* x, const float* y)) {}
