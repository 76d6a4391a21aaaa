// Rows times a weight in few bits, on tensor cores. Meaning: Q8MatMul.java, Nf4MatMul.java.
//
//   c[m, n] = sum over k of x[m, k] w[n, k]            _nt, a layer; x as planes (planes.cu), c in F32
//   c[m, n] = sum over k of x[m, k] w[k, n]            _nn, its gradient
//
//   gemm_q8    w[i, j] = scale[i, j / 32] q[i, j]                   rows of w of a multiple of 16 numbers
//   gemm_nf4   w[i, j] = value[code[i, j]] absmax[i, j / 64]        rows of a multiple of 64
//
// The weight is read as it is, 1 byte or half a byte a number, once for every 64 rows of x, and unpacked nowhere but in shared memory: as three bf16 planes, six pairs of which are summed like those of gemm_mma.cu.
// gemm_q8_nt needs no more than the codes there, which a bf16 holds as they are: a step is one block of 32, whose sum is multiplied with the block's scale. That is three pairs.
//
// A block of 4 warps makes a tile of 64 x 64, each warp 32 x 32 of it, in steps of 32 along k. Each thread holds 16 codes of the next step in registers while the warps multiply. Per 16 of k a warp loads 12 matrices of 16 x 16
// for 48 mma, 98,304 multiply-adds for 6 KiB from shared memory.
#include "planes.cuh"
#include "quantised.cuh"

constexpr int TILE = 64, DEPTH = 32, THREADS = 128;

// 16 numbers of a row of w from a multiple of 16 on: of one block, with one scale.
constexpr int CHUNK = 16;

struct Q8 {
    const signed char* q;
    const float* scales;

    struct Chunk {
        Unit codes;
        float scale;
        DEVICE float code(int i, const float*) const { return q8Code(codes.parts, i); }
    };
    DEVICE Chunk read(i64 row, int column, int columns) const {
        return {*reinterpret_cast<const Unit*>(q + row * columns + column), scales[row * ((columns + 31) / 32) + column / 32]};
    }
};

struct Nf4 {
    const u8* codes;
    Absmax absmax;

    struct Chunk {
        HalfUnit codes;
        float scale;
        DEVICE float code(int i, const float* values) const { return values[nf4Code(codes.parts, i)]; }
    };
    DEVICE Chunk read(i64 row, int column, int columns) const {
        i64 i = row * columns + column;
        return {*reinterpret_cast<const HalfUnit*>(codes + i / 2), absmax.at(i / 64)};
    }
};

template <int WEIGHTS> struct Stage {
    u16 x[PLANES][TILE][DEPTH + 8], w[WEIGHTS][TILE][DEPTH + 8];
    float scale[TILE];
};

// IS_NT: w is [n, k], not [k, n]. IS_SCALED_AFTER: w's codes are multiplied, and the sum of a step with their scale.
template <bool IS_NT, bool IS_SCALED_AFTER, class W> DEVICE void gemm(const Planes& x, const W& w, float* c, int m, int n, int k) {
    static_assert(!IS_SCALED_AFTER || DEPTH == 32, "a step is a block of Q8");
    constexpr int WEIGHTS = IS_SCALED_AFTER ? 1 : PLANES;
    DYNAMIC_SHARED(Stage<WEIGHTS>, stages);
    SHARED(float, values, [16]);
    if (threadIdx.x < 16) values[threadIdx.x] = nf4Value(threadIdx.x);
    int i0 = blockIdx.y * TILE, j0 = blockIdx.x * TILE, steps = (k + DEPTH - 1) / DEPTH;
    int warp = threadIdx.x / 32, lane = threadIdx.x % 32, wi = warp / 2 * 32, wj = warp % 2 * 32;

    // Of this thread's codes the first: in the tile, whose rows are c's columns.
    int own = IS_NT ? threadIdx.x / 2 : threadIdx.x / DEPTH * CHUNK, term = IS_NT ? threadIdx.x % 2 * CHUNK : threadIdx.x % DEPTH;
    auto read = [&](int k0) {
        bool isInside = j0 + own < n && k0 + term < k;
        return isInside ? IS_NT ? w.read(j0 + own, k0 + term, k) : w.read(k0 + term, j0 + own, n) : typename W::Chunk{};
    };
    auto unpack = [&](const typename W::Chunk& chunk, Stage<WEIGHTS>& s) {
#pragma unroll
        for (int i = 0; i < CHUNK; i++) {
            float code = chunk.code(i, values), left = IS_SCALED_AFTER ? code : chunk.scale * code;
#pragma unroll
            for (int p = 0; p < WEIGHTS; p++) s.w[p][IS_NT ? own : own + i][IS_NT ? term + i : term] = takePlane(left);
        }
        if (IS_SCALED_AFTER && term == 0) s.scale[own] = chunk.scale;
    };
    auto begin = [&](int step) {
#pragma unroll
        for (int p = 0; p < PLANES; p++) loadTile<TILE, DEPTH, THREADS>(stages[step % 2].x[p], x.first + p * x.plane, x.pitch, i0, m, step * DEPTH, k);
        ptx::copy_commit();
    };

    float sum[2][4][4] = {};
    begin(0);
    auto next = read(0);
    __syncthreads();                                                 // for the values
    for (int step = 0; step < steps; step++) {
        Stage<WEIGHTS>& s = stages[step % 2];
        unpack(next, s);
        ptx::copy_wait<0>();
        __syncthreads();
        if (step + 1 < steps) {
            begin(step + 1);
            next = read((step + 1) * DEPTH);
        }
        float part[2][4][4] = {};                                    // tensor cores are left to add no more (gemm_mma.cu)
#pragma unroll
        for (int k0 = 0; k0 < DEPTH; k0 += 16) {
            u32 a[PLANES][2][4], b[WEIGHTS][4][2];
#pragma unroll
            for (int p = 0; p < PLANES; p++)
#pragma unroll
                for (int i = 0; i < 2; i++) ptx::ldmatrix(a[p][i], &s.x[p][wi + 16 * i + lane % 16][k0 + lane / 16 * 8]);
#pragma unroll
            for (int p = 0; p < WEIGHTS; p++) loadFragments(b[p], s.w[p], wj, k0, lane);
#pragma unroll
            for (int order = PLANES - 1; order >= 0; order--)        // the smallest first
#pragma unroll
                for (int q = 0; q < WEIGHTS; q++)
                    if (q <= order)
#pragma unroll
                        for (int i = 0; i < 2; i++)
#pragma unroll
                            for (int j = 0; j < 4; j++) ptx::mma_bf16(part[i][j], a[order - q][i], b[q][j]);
        }
#pragma unroll
        for (int i = 0; i < 2; i++)
#pragma unroll
            for (int j = 0; j < 4; j++)
#pragma unroll
                for (int e = 0; e < 4; e++) sum[i][j][e] = fmaf(IS_SCALED_AFTER ? s.scale[wj + 8 * j + lane % 4 * 2 + e % 2] : 1.f, part[i][j][e], sum[i][j][e]);
    }
#pragma unroll
    for (int i = 0; i < 2; i++)
#pragma unroll
        for (int j = 0; j < 4; j++)
#pragma unroll
            for (int e = 0; e < 4; e++) {
                int row = i0 + wi + 16 * i + lane / 4 + e / 2 * 8, column = j0 + wj + 8 * j + lane % 4 * 2 + e % 2;
                if (row < m && column < n) c[i64(row) * n + column] = sum[i][j][e];
            }
}

KERNEL(THREADS, gemm_q8_nt, (Planes x, const signed char* q, const float* scale, float* c, int m, int n, int k)) { gemm<true, true>(x, Q8{q, scale}, c, m, n, k); }
KERNEL(THREADS, gemm_q8_nn, (Planes x, const signed char* q, const float* scale, float* c, int m, int n, int k)) { gemm<false, false>(x, Q8{q, scale}, c, m, n, k); }
KERNEL(THREADS, gemm_nf4_nt, (Planes x, const u8* codes, Absmax absmax, float* c, int m, int n, int k)) { gemm<true, false>(x, Nf4{codes, absmax}, c, m, n, k); }
KERNEL(THREADS, gemm_nf4_nn, (Planes x, const u8* codes, Absmax absmax, float* c, int m, int n, int k)) { gemm<false, false>(x, Nf4{codes, absmax}, c, m, n, k); }
