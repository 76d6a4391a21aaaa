// Low-rank products of stretches of rows, other matrices for each: many LoRAs over one backbone (BGMV). Meaning: GroupedLowRank.java.
//
//   shrink:  h[row] = s_g A_g x[row]                 A_g: [rank, in]
//   expand:  z[row] = y[row] + B_g h[row]            B_g: [out, rank]
//
// blockIdx.y is the run g. shrink has a warp for each number of h; expand a thread for each number of z. A and B are read once per row of their run: bound by reading them.
#include "rows.cuh"

constexpr int MOST_RUNS = 64;

struct Run {
    const float *a, *b;
    i64 from, to;                                                    // rows
    int rank;
    float s;
};
struct Runs {
    Run run[MOST_RUNS];
};

// h: [rows, pitch]
KERNEL(256, low_rank_shrink, (const __grid_constant__ Runs runs, const float* x, float* h, int in, int pitch)) {
    const Run& g = runs.run[blockIdx.y];
    int lane = threadIdx.x % WARP;
    i64 warps = i64(gridDim.x) * (BLOCK / WARP);
    for (i64 e = i64(blockIdx.x) * (BLOCK / WARP) + threadIdx.x / WARP; e < (g.to - g.from) * g.rank; e += warps) {
        i64 row = g.from + e / g.rank;
        int j = int(e % g.rank);
        float sum = 0;
        for (int i = lane; i < in; i += WARP) sum = fmaf(x[row * in + i], g.a[i64(j) * in + i], sum);
        sum = warpFold<Sum>(sum);
        if (lane == 0) h[row * pitch + j] = g.s * sum;
    }
}

// z may be y, and has y's numbers already where it is not.
KERNEL(256, low_rank_expand, (const __grid_constant__ Runs runs, const float* h, float* z, int out, int pitch)) {
    const Run& g = runs.run[blockIdx.y];
    for (i64 e = threadNumber(); e < (g.to - g.from) * out; e += threadCount()) {
        i64 row = g.from + e / out;
        int o = int(e % out);
        float sum = 0;
        for (int j = 0; j < g.rank; j++) sum = fmaf(h[row * pitch + j], g.b[i64(o) * g.rank + j], sum);
        z[row * out + o] += sum;
    }
}
