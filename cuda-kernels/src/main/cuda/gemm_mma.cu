// Matrix product on tensor cores, of matrices as sums of bf16 planes (planes.cu). Ampere and later.
//
//   c = plus + scale sum over pairs (i, j) of a_i b_j^T            a: planes [m, k], b: planes [n, k], c: [m, n] in F32
//
// Of two F32 matrices the six pairs with i + j <= 2 are summed, the smallest first; the others are below an F32's last bit. With a weight in bf16 three pairs do.
//
// A block of 8 warps makes a tile of 128 x 128, each warp 64 x 32 of it, in steps of 32 along k; three steps are under way at once (cp.async), each of which takes 20 KiB of shared memory. Per
// step a warp loads 6 matrices of 16 x 16 twice for 32 mma, 65,536 multiply-adds for 6 KiB from shared memory.
//
// Tensor cores cut what they add to 24 bits or so, always towards zero (Fasi et al. 2021, doi:10.7717/peerj-cs.330): of the largest pair no more than 64 terms are left to them, then the rest is added as F32.
//
// Rows of a and b begin at multiples of 16 bytes, and k is a multiple of 8.
#include "after.cuh"
#include "planes.cuh"

constexpr int TILE = 128, DEPTH = 32, STAGES = 3, THREADS = 256;

struct Stage {
    u16 a[TILE][DEPTH + 8], b[TILE][DEPTH + 8];
};

// pairs: 4 bits each, i + 4 j.
KERNEL(THREADS, gemm_mma, (Planes a, Planes b, float* c, After after, int m, int n, int k, u32 pairs, int pairCount, i64 batch)) {
    DYNAMIC_SHARED(Stage, stages);
    int i0 = blockIdx.y * TILE, j0 = blockIdx.x * TILE, warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    int wi = warp / 4 * 64, wj = warp % 4 * 32, depths = (k + DEPTH - 1) / DEPTH, steps = depths * pairCount, large = steps - depths;
    for (i64 z = blockIdx.z; z < batch; z += gridDim.z) {
        const u16 *az = a.first + z * a.batch, *bz = b.first + z * b.batch;
        auto begin = [&](int step) {
            if (step < steps) {
                u32 pair = pairs >> 4 * (step / depths) & 15;
                int k0 = step % depths * DEPTH;
                Stage& s = stages[step % STAGES];
                loadTile<TILE, DEPTH, THREADS>(s.a, az + (pair & 3) * a.plane, a.pitch, i0, m, k0, k);
                loadTile<TILE, DEPTH, THREADS>(s.b, bz + (pair >> 2) * b.plane, b.pitch, j0, n, k0, k);
            }
            ptx::copy_commit();
        };
        float sum[4][4][4] = {}, part[4][4][4] = {};
        for (int s = 0; s < STAGES - 1; s++) begin(s);
        for (int step = 0; step < steps; step++) {
            ptx::copy_wait<STAGES - 2>();
            __syncthreads();
            begin(step + STAGES - 1);
            const Stage& s = stages[step % STAGES];
#pragma unroll
            for (int k0 = 0; k0 < DEPTH; k0 += 16) {
                u32 x[4][4], y[4][2];
#pragma unroll
                for (int i = 0; i < 4; i++) ptx::ldmatrix(x[i], &s.a[wi + 16 * i + lane % 16][k0 + lane / 16 * 8]);
                loadFragments(y, s.b, wj, k0, lane);
#pragma unroll
                for (int i = 0; i < 4; i++)
#pragma unroll
                    for (int j = 0; j < 4; j++) ptx::mma_bf16(part[i][j], x[i], y[j]);
            }
            if (step + 1 == steps || (step + 1 >= large && (step + 1 - large) % 2 == 0))
#pragma unroll
                for (int i = 0; i < 4; i++)
#pragma unroll
                    for (int j = 0; j < 4; j++)
#pragma unroll
                        for (int e = 0; e < 4; e++) {
                            sum[i][j][e] += part[i][j][e];
                            part[i][j][e] = 0;
                        }
        }
        ptx::copy_wait<0>();
        __syncthreads();
        i64 origin = z * m * n;
#pragma unroll
        for (int i = 0; i < 4; i++)
#pragma unroll
            for (int j = 0; j < 4; j++)
#pragma unroll
                for (int e = 0; e < 4; e++) {
                    int row = i0 + wi + 16 * i + lane / 4 + e / 2 * 8, column = j0 + wj + 8 * j + lane % 4 * 2 + e % 2;
                    i64 at = origin + i64(row) * n + column;
                    if (row < m && column < n) c[at] = after(sum[i][j][e], at);
                }
    }
}
