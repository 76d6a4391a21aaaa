// The gradient of attention, which recomputes the scores from the logarithms of their sums (Dao et al. 2022, arXiv:2205.14135, algorithm 4). Meaning: AttentionGrad.java.
//
//   p = e^(s - lse)        dv = p^T dy        dp = dy v^T        ds = scale p (dp - along)        along = rowsum(dy y)
//   dq = ds k              dk = ds^T q
//
// Rows are those of attention.cu. Three launches:
//
//   attention_along     a warp for each row
//   attention_grad_q    a block for 32 rows, which goes through the keys: a lane has a key
//   attention_grad_kv   a block for 32 keys, which goes through the rows: a lane has a row
//
// Each warp has four of what its block is for. Nothing is added by atomics, so the same bits come each time. 10 D operations per row and key, the scores twice among them.
#include "attention.cuh"

constexpr int OWN = KEYS / (BLOCK / WARP);                           // rows or keys of a warp

KERNEL(256, attention_along, (Heads dy, Heads y, float* along, i64 rows, int h, int t, int d)) {
    i64 row = i64(blockIdx.x) * (BLOCK / WARP) + threadIdx.x / WARP;
    int lane = threadIdx.x % WARP;
    if (row >= rows) return;
    i64 time = row % t, head = row / t % h, b = row / t / h, at = dy.at(b, time, head), of = y.at(b, time, head);
    float sum = 0;
    for (int i = lane; i < d; i += WARP) sum = fmaf(Arithmetic<float>::get(dy.data, dy.type, at + i), Arithmetic<float>::get(y.data, y.type, of + i), sum);
    sum = warpFold<Sum>(sum);
    if (lane == 0) along[row] = sum;
}

// p and ds of a row and a key; both tiles of the row and of the key are in shared memory.
template <int D>
DEVICE void pair(const Scores& a, const float* q, const float* k, const float* dy, const float* v, const float* lse, const float* along, i64 b, int keyHead, int row, int key, float& p, float& ds) {
    int head = keyHead * a.group + row % a.group, time = row / a.group;
    p = ds = 0;
    if (row >= a.t * a.group || key >= a.s) return;
    float s = score(a, dot<D>(q, k, a.d), b, head, time, key);
    if (!(s > NEVER)) return;
    i64 at = (b * a.h + head) * a.t + time;
    p = expf(s - lse[at]);
    ds = p * (dot<D>(dy, v, a.d) - along[at]) * a.scale;
}

template <int D>
DEVICE void gradQ(const Scores& a, const Heads& dy, const Heads& q, const Heads& k, const Heads& v, const float* lse, const float* along, float* dq) {
    DYNAMIC_SHARED(Tile<D>, tiles);
    Tile<D>&qs = tiles[0], &ks = tiles[1], &dys = tiles[2], &vs = tiles[3];
    int warp = threadIdx.x / WARP, lane = threadIdx.x % WARP, keyHeads = a.h / a.group, rows = a.t * a.group;
    int b = blockIdx.y / keyHeads, keyHead = blockIdx.y % keyHeads, r0 = blockIdx.x * KEYS;
    auto row = [&](const Heads& x, int r) { return r0 + r < rows ? x.at(b, (r0 + r) / a.group, keyHead * a.group + (r0 + r) % a.group) : i64(-1); };
    load<D>(qs, q.data, q.type, a.d, [&](int r) { return row(q, r); });
    load<D>(dys, dy.data, dy.type, a.d, [&](int r) { return row(dy, r); });
    float sum[OWN][D / WARP] = {};
    int last = r0 + KEYS - 1 < rows - 1 ? r0 + KEYS - 1 : rows - 1, visible = a.causal ? last / a.group + a.s - a.t + 1 : a.s;
    for (int k0 = 0; k0 < visible; k0 += KEYS) {
        __syncthreads();
        load<D>(ks, k.data, k.type, a.d, [&](int r) { return k0 + r < a.s ? k.at(b, k0 + r, keyHead) : i64(-1); });
        load<D>(vs, v.data, v.type, a.d, [&](int r) { return k0 + r < a.s ? v.at(b, k0 + r, keyHead) : i64(-1); });
        __syncthreads();
#pragma unroll
        for (int o = 0; o < OWN; o++) {
            int r = warp * OWN + o;
            float p, ds;
            pair<D>(a, qs.rows[r], ks.rows[lane], dys.rows[r], vs.rows[lane], lse, along, b, keyHead, r0 + r, k0 + lane, p, ds);
            for (int j = 0; j < KEYS; j++) {
                float dsj = __shfl_sync(ALL_LANES, ds, j);
#pragma unroll
                for (int i = 0; i < D / WARP; i++) sum[o][i] = fmaf(dsj, ks.rows[j][lane + WARP * i], sum[o][i]);
            }
        }
    }
#pragma unroll
    for (int o = 0; o < OWN; o++) {
        int r = r0 + warp * OWN + o;
        if (r >= rows) break;
        float* to = dq + ((i64(b) * a.t + r / a.group) * a.h + keyHead * a.group + r % a.group) * a.d;
#pragma unroll
        for (int i = 0; i < D / WARP; i++)
            if (lane + WARP * i < a.d) to[lane + WARP * i] = sum[o][i];
    }
}

template <int D>
DEVICE void gradKv(const Scores& a, const Heads& dy, const Heads& q, const Heads& k, const Heads& v, const float* lse, const float* along, float* dk, float* dv) {
    DYNAMIC_SHARED(Tile<D>, tiles);
    Tile<D>&qs = tiles[0], &ks = tiles[1], &dys = tiles[2], &vs = tiles[3];
    int warp = threadIdx.x / WARP, lane = threadIdx.x % WARP, keyHeads = a.h / a.group, rows = a.t * a.group;
    int b = blockIdx.y / keyHeads, keyHead = blockIdx.y % keyHeads, k0 = blockIdx.x * KEYS;
    load<D>(ks, k.data, k.type, a.d, [&](int r) { return k0 + r < a.s ? k.at(b, k0 + r, keyHead) : i64(-1); });
    load<D>(vs, v.data, v.type, a.d, [&](int r) { return k0 + r < a.s ? v.at(b, k0 + r, keyHead) : i64(-1); });
    float sumK[OWN][D / WARP] = {}, sumV[OWN][D / WARP] = {};
    int first = a.causal && k0 > a.s - a.t ? (k0 - (a.s - a.t)) * a.group / KEYS * KEYS : 0;        // rows before see none of these keys
    for (int r0 = first; r0 < rows; r0 += KEYS) {
        auto row = [&](const Heads& x, int r) { return r0 + r < rows ? x.at(b, (r0 + r) / a.group, keyHead * a.group + (r0 + r) % a.group) : i64(-1); };
        __syncthreads();
        load<D>(qs, q.data, q.type, a.d, [&](int r) { return row(q, r); });
        load<D>(dys, dy.data, dy.type, a.d, [&](int r) { return row(dy, r); });
        __syncthreads();
#pragma unroll
        for (int o = 0; o < OWN; o++) {
            int key = warp * OWN + o;
            float p, ds;
            pair<D>(a, qs.rows[lane], ks.rows[key], dys.rows[lane], vs.rows[key], lse, along, b, keyHead, r0 + lane, k0 + key, p, ds);
            for (int j = 0; j < KEYS; j++) {
                float pj = __shfl_sync(ALL_LANES, p, j), dsj = __shfl_sync(ALL_LANES, ds, j);
#pragma unroll
                for (int i = 0; i < D / WARP; i++) {
                    sumV[o][i] = fmaf(pj, dys.rows[j][lane + WARP * i], sumV[o][i]);
                    sumK[o][i] = fmaf(dsj, qs.rows[j][lane + WARP * i], sumK[o][i]);
                }
            }
        }
    }
#pragma unroll
    for (int o = 0; o < OWN; o++) {
        int key = k0 + warp * OWN + o;
        if (key >= a.s) break;
        i64 to = ((i64(b) * a.s + key) * keyHeads + keyHead) * a.d;
#pragma unroll
        for (int i = 0; i < D / WARP; i++) {
            if (lane + WARP * i >= a.d) break;
            dk[to + lane + WARP * i] = sumK[o][i];
            dv[to + lane + WARP * i] = sumV[o][i];
        }
    }
}

#define GRAD(suffix, D)                                                                                                                                              \
    KERNEL(256, attention_grad_q_##suffix, (const __grid_constant__ Scores a, Heads dy, Heads q, Heads k, Heads v, const float* lse, const float* along, float* dq)) { \
        gradQ<D>(a, dy, q, k, v, lse, along, dq);                                                                                                                    \
    }                                                                                                                                                                \
    KERNEL(256, attention_grad_kv_##suffix,                                                                                                                          \
           (const __grid_constant__ Scores a, Heads dy, Heads q, Heads k, Heads v, const float* lse, const float* along, float* dk, float* dv)) {                      \
        gradKv<D>(a, dy, q, k, v, lse, along, dk, dv);                                                                                                               \
    }
GRAD(d64, 64)
GRAD(d128, 128)
GRAD(d256, 256)
