// Attention without its matrix of scores (Dao et al. 2022, arXiv:2205.14135). Meaning: Attention.java.
//
//   s = scale q k^T + bias        p = softmax over the allowed keys        y = p v        lse = ln sum e^s
//
// q, y: [B, T, H, D], k, v: [B, S, KV, D] of F32, BF16 or F16, lse: [B, H, T]; mask: [B, S], bias: anything that broadcasts to [B, H, T, S].
//
// The queries of all heads that read one key head are its rows: row r is time r / group, head r % group of them; so keys and values are read once for the group. A block has 8 warps of R rows each (R = 4,
// or 1 where there are few, as in decoding) and goes through the keys 32 at a time: a lane scores a key for each row of its warp, the warp keeps the running maximum m and sum l of each row, and then each
// lane adds its numbers of D for all 32 keys:
//
//   m' = max(m, max s)      l = l e^(m - m') + sum e^(s - m')      y = y e^(m - m') + sum e^(s - m') v
//
// Where there are few rows the keys are shared among gridDim.z blocks, whose y, m and l attention_join puts together.
//
// Keys and values are read once per 8 R rows; 4 D operations per row and key. From shared memory a warp reads a key or a value once for its R rows: of R = 4, 8 cycles for 16 instructions that multiply and add. Versions: _r1 and _r4 for R, _d64, _d128 and _d256 for D up to that.
#include "attention.cuh"

// What a block found of its keys: y not divided, [rows of the whole, D], m and l.
struct Parts {
    float *y, *m, *l;
};

template <int R, int D>
DEVICE void attention(const Scores& a, const Heads& q, const Heads& k, const Heads& v, float* y, float* lse, const Parts& parts) {
    DYNAMIC_SHARED(Tile<D>, tiles);
    Tile<D>&qs = tiles[0], &ks = tiles[1], &vs = tiles[2];
    constexpr int ROWS = R * BLOCK / WARP, PER_LANE = D / WARP;
    Group g(a);
    int warp = g.warp, lane = g.lane, r0 = blockIdx.x * ROWS;
    load<D>(qs, q.data, q.type, a.d, [&](int r) { return r < ROWS ? g.rowOf(q, r0 + r) : i64(-1); });
    float m[R], l[R], sum[R][PER_LANE];
#pragma unroll
    for (int r = 0; r < R; r++) {
        m[r] = NEVER;
        l[r] = 0;
#pragma unroll
        for (int i = 0; i < PER_LANE; i++) sum[r][i] = 0;
    }
    int visible = g.visible(r0 + ROWS - 1);
    int chunk = ((a.s + gridDim.z - 1) / gridDim.z + KEYS - 1) / KEYS * KEYS, begin = blockIdx.z * chunk, end = begin + chunk < visible ? begin + chunk : visible;
    for (int k0 = begin; k0 < end; k0 += KEYS) {
        __syncthreads();
        load<D>(ks, k.data, k.type, a.d, [&](int r) { return g.keyOf(k, k0 + r); });
        load<D>(vs, v.data, v.type, a.d, [&](int r) { return g.keyOf(v, k0 + r); });
        __syncthreads();
        float dot[R], p[R];
        dots(dot, qs, warp * R, ks, lane, a.d);
#pragma unroll
        for (int r = 0; r < R; r++) {
            int row = r0 + warp * R + r;
            float s = row < g.rows ? score(a, dot[r], g.b, g.head(row), row / a.group, k0 + lane) : NEVER;
            float higher = fmaxf(m[r], warpFold<Max>(s)), before = expf(m[r] - higher);
            p[r] = s > NEVER ? expf(s - higher) : 0.f;
            l[r] = l[r] * before + warpFold<Sum>(p[r]);
            m[r] = higher;
#pragma unroll
            for (int i = 0; i < PER_LANE; i++) sum[r][i] *= before;
        }
        add(sum, p, vs, lane);
    }
#pragma unroll
    for (int r = 0; r < R; r++) {
        int row = r0 + warp * R + r;
        if (row >= g.rows) break;
        if (gridDim.z == 1) {
            float all = fmaxf(l[r], 1e-30f);
            float* to = y + g.outputOf(row) * a.d;
#pragma unroll
            for (int i = 0; i < PER_LANE; i++)
                if (lane + WARP * i < a.d) to[lane + WARP * i] = sum[r][i] / all;
            if (lane == 0) lse[g.number(row)] = m[r] + logf(all);
        } else {
            i64 part = g.number(row) + i64(blockIdx.z) * (gridDim.y / g.keyHeads) * a.h * a.t;
#pragma unroll
            for (int i = 0; i < PER_LANE; i++)
                if (lane + WARP * i < a.d) parts.y[part * a.d + lane + WARP * i] = sum[r][i];
            if (lane == 0) {
                parts.m[part] = m[r];
                parts.l[part] = l[r];
            }
        }
    }
}

#define ATTENTION(name, R, D) \
    KERNEL(256, name, (const __grid_constant__ Scores a, Heads q, Heads k, Heads v, float* y, float* lse, Parts parts)) { attention<R, D>(a, q, k, v, y, lse, parts); }
ATTENTION(attention_r1_d64, 1, 64)
ATTENTION(attention_r1_d128, 1, 128)
ATTENTION(attention_r1_d256, 1, 256)
ATTENTION(attention_r4_d64, 4, 64)
ATTENTION(attention_r4_d128, 4, 128)
ATTENTION(attention_r4_d256, 4, 256)

// One warp per row of `rows` = B H T, of which each of `count` parts has one.
KERNEL(256, attention_join, (Parts parts, int count, float* y, float* lse, int rows, int h, int t, int d)) {
    int row = blockIdx.x * (BLOCK / WARP) + threadIdx.x / WARP, lane = threadIdx.x % WARP;
    if (row >= rows) return;
    float m = NEVER, l = 0;
    for (int p = 0; p < count; p++) m = fmaxf(m, parts.m[i64(p) * rows + row]);
    for (int p = 0; p < count; p++) l += parts.l[i64(p) * rows + row] * expf(parts.m[i64(p) * rows + row] - m);
    float all = fmaxf(l, 1e-30f);
    int time = row % t, head = row / t % h, b = row / t / h;
    for (int i = lane; i < d; i += WARP) {
        float sum = 0;
        for (int p = 0; p < count; p++) sum = fmaf(parts.y[(i64(p) * rows + row) * d + i], expf(parts.m[i64(p) * rows + row] - m), sum);
        y[((i64(b) * t + time) * h + head) * d + i] = sum / all;
    }
    if (lane == 0) lse[row] = m + logf(all);
}
