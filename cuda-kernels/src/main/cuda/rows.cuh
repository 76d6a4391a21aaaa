// Sums and maxima over the elements of a row, on which a warp works, or a block.
#pragma once
#include "kernel.cuh"

constexpr int WARP = 32;
constexpr int BLOCK = 256;

struct Sum {
    template <class R> static DEVICE R of(R a, R b) { return a + b; }
};
struct Max {
    static DEVICE float of(float a, float b) { return fmaxf(a, b); }
};

template <class Law, class R> DEVICE R warpFold(R v) {
#pragma unroll
    for (int by = 16; by; by >>= 1) v = Law::of(v, __shfl_xor_sync(ALL_LANES, v, by));
    return v;
}

// What all threads of a row hold, folded; each gets the result. WIDTH: threads of a row, a warp or a block of 256. A block may call this any number of times.
template <int WIDTH, class Law, class R> DEVICE R rowFold(R v) {
    v = warpFold<Law>(v);
    if (WIDTH == WARP) return v;
    SHARED(R, parts, [BLOCK / WARP]);
    __syncthreads();                                                 // of the call before all have read
    if (threadIdx.x % WARP == 0) parts[threadIdx.x / WARP] = v;
    __syncthreads();
    R all = parts[0];
#pragma unroll
    for (int i = 1; i < BLOCK / WARP; i++) all = Law::of(all, parts[i]);
    return all;
}

// A row of a launch of blocks of 256: of WIDTH threads, number `lane` of which is this one.
template <int WIDTH> struct Row {
    i64 number;
    int lane;
    DEVICE Row() : number(i64(blockIdx.x) * (BLOCK / WIDTH) + threadIdx.x / WIDTH), lane(threadIdx.x % WIDTH) {}
};

// Largest element and sum of e^(x - largest), as they are found in one pass.
struct LogSum {
    float max, sum;
    DEVICE void add(float x) {
        if (x > max) {
            sum = sum * expf(max - x) + 1;
            max = x;
        } else if (x != -INFINITY) {                                 // e^x = 0; beside a maximum of -inf the difference would be no number
            sum += expf(x - max);
        }
    }
};
template <int WIDTH> DEVICE LogSum rowLogSum(const float* x, int n, int lane) {
    LogSum own = {-INFINITY, 0};
    for (int i = lane; i < n; i += WIDTH) own.add(x[i]);
    float max = rowFold<WIDTH, Max>(own.max);
    return {max, rowFold<WIDTH, Sum>(own.sum == 0 ? 0.f : own.sum * expf(own.max - max))};
}
