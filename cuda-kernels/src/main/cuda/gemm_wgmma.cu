// Matrix product on Hopper's tensor cores, of matrices as sums of bf16 planes (planes.cu). The same as gemm_mma.cu, for chips of compute capability 9.0.
//
//   c = plus + scale sum over pairs (i, j) of a_i b_j^T            a: planes [m, k], b: planes [n, k], c: [m, n] in F32
//
// A block makes a tile of 128 x 128, in steps of 64 along k. One warp asks the tensor memory accelerator for the next tiles of a and b, up to four steps ahead (32 KiB each, in a ring guarded by barriers in memory);
// two groups of four warps multiply, 64 rows each, by wgmma m64n128k16 straight from shared memory. As in gemm_mma.cu tensor cores are left to add 64 terms of the largest pair, that is one step.
//
// Tiles are 64 numbers of 16 bits wide, 128 bytes, swizzled. A plane and a matrix of the batch are found by their first row: the maps are of all rows of all planes.
#define SHARED_ALIGNMENT 1024
#include "after.cuh"

#ifdef HAS_WGMMA
constexpr int TILE = 128, DEPTH = 64, STAGES = 4, CONSUMERS = 256;

struct Stage {
    u16 a[TILE * DEPTH], b[TILE * DEPTH];
};
struct __align__(64) TensorMap {
    u64 opaque[16];
};
// Rows from plane to plane, and from matrix to matrix.
struct Steps {
    int plane, batch;
};

KERNEL(384, gemm_wgmma, (const __grid_constant__ TensorMap aMap, const __grid_constant__ TensorMap bMap, Steps a, Steps b, float* c, After after, int m, int n, int k, u32 pairs, int pairCount)) {
    DYNAMIC_SHARED(Stage, stages);
    struct Barriers {
        u64 full[STAGES], empty[STAGES];
    };
    SHARED(Barriers, barriers, );
    int i0 = blockIdx.y * TILE, j0 = blockIdx.x * TILE, z = blockIdx.z, depths = (k + DEPTH - 1) / DEPTH, steps = depths * pairCount, large = steps - depths;
    if (threadIdx.x == 0) {
        for (int i = 0; i < STAGES; i++) {
            ptx::mbarrier_init(&barriers.full[i], 1);
            ptx::mbarrier_init(&barriers.empty[i], CONSUMERS);
        }
        ptx::fence_mbarrier_init();
    }
    __syncthreads();
    if (threadIdx.x >= CONSUMERS) {
        if (threadIdx.x != CONSUMERS) return;
        for (int step = 0; step < steps; step++) {
            int i = step % STAGES, k0 = step % depths * DEPTH;
            u32 pair = pairs >> 4 * (step / depths) & 15;
            ptx::mbarrier_wait(&barriers.empty[i], (step / STAGES & 1) ^ 1);
            ptx::mbarrier_expect(&barriers.full[i], sizeof(Stage));
            ptx::tma_load(stages[i].a, &aMap, k0, i0 + int(pair & 3) * a.plane + z * a.batch, &barriers.full[i]);
            ptx::tma_load(stages[i].b, &bMap, k0, j0 + int(pair >> 2) * b.plane + z * b.batch, &barriers.full[i]);
        }
        return;
    }
    int group = threadIdx.x / 128, t = threadIdx.x % 128;
    float sum[64], part[64];
#pragma unroll
    for (int i = 0; i < 64; i++) sum[i] = part[i] = 0;
    for (int step = 0; step < steps; step++) {
        int i = step % STAGES;
        ptx::mbarrier_wait(&barriers.full[i], step / STAGES & 1);
        ptx::wgmma_hold(part);
        ptx::wgmma_fence();
#pragma unroll
        for (int k0 = 0; k0 < DEPTH; k0 += 16) ptx::wgmma_m64n128k16(part, ptx::descriptor(stages[i].a + group * 64 * DEPTH + k0), ptx::descriptor(stages[i].b + k0));
        ptx::wgmma_commit();
        ptx::wgmma_wait<0>();
        ptx::wgmma_hold(part);
        ptx::mbarrier_arrive(&barriers.empty[i]);
        if (step + 1 < large) continue;
#pragma unroll
        for (int e = 0; e < 64; e++) {
            sum[e] += part[e];
            part[e] = 0;
        }
    }
    i64 origin = i64(z) * m * n;
#pragma unroll
    for (int i = 0; i < 64; i++) {
        int row = i0 + group * 64 + t / 32 * 16 + t % 32 / 4 + (i >> 1 & 1) * 8, column = j0 + (i >> 2) * 8 + t % 4 * 2 + (i & 1);
        i64 at = origin + i64(row) * n + column;
        if (row < m && column < n) c[at] = after(sum[i], at);
    }
}
#endif
