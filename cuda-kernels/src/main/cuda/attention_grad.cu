// The gradient of attention, which recomputes the scores from the logarithms of their sums (Dao et al. 2022, arXiv:2205.14135, algorithm 4). Meaning: AttentionGrad.java.
//
//   p = e^(s - lse)        dv = p^T dy        dp = dy v^T        ds = scale p (dp - along)        along = rowsum(dy y)
//   dq = ds k              dk = ds^T q
//
// Rows and shapes are those of attention.cu; dq, dk, dv as q, k, v. Three launches:
//
//   attention_along     a warp for each row
//   attention_grad_q    a block for 32 rows, which goes through the keys: a lane has a key
//   attention_grad_kv   a block for 32 keys, which goes through the rows: a lane has a row
//
// Each warp has four of what its block is for. Nothing is added by atomics, so the same bits come each time. 10 D operations per row and key, the scores twice among them. Versions: by D as there.
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

// p and ds of a row and a key, of whose products q k^T and dy v^T are known.
DEVICE void pair(const Group& g, float qk, float dyv, const float* lse, const float* along, int row, int key, float& p, float& ds) {
    const Scores& a = g.a;
    p = ds = 0;
    if (row >= g.rows || key >= a.s) return;
    float s = score(a, qk, g.b, g.head(row), row / a.group, key);
    if (!(s > NEVER)) return;
    i64 at = g.number(row);
    p = expf(s - lse[at]);
    ds = p * (dyv - along[at]) * a.scale;
}

template <int D>
DEVICE void gradQ(const Scores& a, const Heads& dy, const Heads& q, const Heads& k, const Heads& v, const float* lse, const float* along, float* dq) {
    DYNAMIC_SHARED(Tile<D>, tiles);
    Tile<D>&qs = tiles[0], &ks = tiles[1], &dys = tiles[2], &vs = tiles[3];
    Group g(a);
    int warp = g.warp, lane = g.lane, r0 = blockIdx.x * KEYS;
    load<D>(qs, q.data, q.type, a.d, [&](int r) { return g.rowOf(q, r0 + r); });
    load<D>(dys, dy.data, dy.type, a.d, [&](int r) { return g.rowOf(dy, r0 + r); });
    float sum[OWN][D / WARP] = {};
    int visible = g.visible(r0 + KEYS - 1);
    for (int k0 = 0; k0 < visible; k0 += KEYS) {
        __syncthreads();
        load<D>(ks, k.data, k.type, a.d, [&](int r) { return g.keyOf(k, k0 + r); });
        load<D>(vs, v.data, v.type, a.d, [&](int r) { return g.keyOf(v, k0 + r); });
        __syncthreads();
        float qk[OWN], dyv[OWN], p[OWN], ds[OWN];
        dots(qk, qs, warp * OWN, ks, lane, a.d);
        dots(dyv, dys, warp * OWN, vs, lane, a.d);
#pragma unroll
        for (int o = 0; o < OWN; o++) pair(g, qk[o], dyv[o], lse, along, r0 + warp * OWN + o, k0 + lane, p[o], ds[o]);
        add(sum, ds, ks, lane);
    }
#pragma unroll
    for (int o = 0; o < OWN; o++) {
        int r = r0 + warp * OWN + o;
        if (r >= g.rows) break;
        float* to = dq + g.outputOf(r) * a.d;
#pragma unroll
        for (int i = 0; i < D / WARP; i++)
            if (lane + WARP * i < a.d) to[lane + WARP * i] = sum[o][i];
    }
}

template <int D>
DEVICE void gradKv(const Scores& a, const Heads& dy, const Heads& q, const Heads& k, const Heads& v, const float* lse, const float* along, float* dk, float* dv) {
    DYNAMIC_SHARED(Tile<D>, tiles);
    Tile<D>&qs = tiles[0], &ks = tiles[1], &dys = tiles[2], &vs = tiles[3];
    Group g(a);
    int warp = g.warp, lane = g.lane, k0 = blockIdx.x * KEYS;
    load<D>(ks, k.data, k.type, a.d, [&](int r) { return g.keyOf(k, k0 + r); });
    load<D>(vs, v.data, v.type, a.d, [&](int r) { return g.keyOf(v, k0 + r); });
    float sumK[OWN][D / WARP] = {}, sumV[OWN][D / WARP] = {};
    int first = a.causal && k0 > a.s - a.t ? (k0 - (a.s - a.t)) * a.group / KEYS * KEYS : 0;        // rows before see none of these keys
    for (int r0 = first; r0 < g.rows; r0 += KEYS) {
        __syncthreads();
        load<D>(qs, q.data, q.type, a.d, [&](int r) { return g.rowOf(q, r0 + r); });
        load<D>(dys, dy.data, dy.type, a.d, [&](int r) { return g.rowOf(dy, r0 + r); });
        __syncthreads();
        float qk[OWN], dyv[OWN], p[OWN], ds[OWN];
        dots(qk, ks, warp * OWN, qs, lane, a.d);
        dots(dyv, vs, warp * OWN, dys, lane, a.d);
#pragma unroll
        for (int o = 0; o < OWN; o++) pair(g, qk[o], dyv[o], lse, along, r0 + lane, k0 + warp * OWN + o, p[o], ds[o]);
        add(sumV, p, dys, lane);
        add(sumK, ds, qs, lane);
    }
#pragma unroll
    for (int o = 0; o < OWN; o++) {
        int key = k0 + warp * OWN + o;
        if (key >= a.s) break;
        i64 to = ((i64(g.b) * a.s + key) * g.keyHeads + g.keyHead) * a.d;
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
