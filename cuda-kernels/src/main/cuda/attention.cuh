// What attention's passes share: tensors where they lie, which keys a query may see, tiles in shared memory. Meaning: Attention.java.
#pragma once
#include "elements.cuh"
#include "rows.cuh"

// [B, T, heads, D], D together, in F32, BF16 or F16.
struct Heads {
    char* data;
    int type;
    i64 batch, time, head;
    DEVICE i64 at(i64 b, i64 t, i64 h) const { return b * batch + t * time + h * head; }
};

// y: queries [B, T, H, D] against keys [B, S, K, D]; query head h reads key head h / group. mask and bias have no data where there is none.
struct Scores {
    int t, s, h, group, d;
    float scale;
    int causal;
    Operand mask;                                                    // [B, S]
    Operand bias;                                                    // [B, H, T, S], stretched
};

constexpr float NEVER = -1e30f;
constexpr int KEYS = 32;                                             // of a tile: a lane each

// The score of a query and a key, whose product is `dot`; NEVER where it may not see it. Past the last key, too.
DEVICE float score(const Scores& a, float dot, i64 b, int head, int query, int key) {
    if (key >= a.s || (a.causal && key > query + a.s - a.t)) return NEVER;
    if (a.mask.data && get<double>(a.mask, b * a.s + key) == 0) return NEVER;
    float s = dot * a.scale;
    return a.bias.data ? s + get<float>(a.bias, ((b * a.h + head) * a.t + query) * a.s + key) : s;
}

// The key head of a batch that a block works for, and what reads it: row r is time r / group, head r % group of its query heads.
struct Group {
    const Scores& a;
    int warp, lane, keyHeads, rows, b, keyHead;
    DEVICE Group(const Scores& a)
        : a(a), warp(threadIdx.x / WARP), lane(threadIdx.x % WARP), keyHeads(a.h / a.group), rows(a.t * a.group), b(blockIdx.y / keyHeads), keyHead(blockIdx.y % keyHeads) {}

    DEVICE int head(int row) const { return keyHead * a.group + row % a.group; }
    // Where they lie; negative beyond the last.
    DEVICE i64 rowOf(const Heads& x, int row) const { return row < rows ? x.at(b, row / a.group, head(row)) : i64(-1); }
    DEVICE i64 keyOf(const Heads& x, int key) const { return key < a.s ? x.at(b, key, keyHead) : i64(-1); }
    // Among all of [B, H, T].
    DEVICE i64 number(int row) const { return (i64(b) * a.h + head(row)) * a.t + row / a.group; }
    // Among all of [B, T, H].
    DEVICE i64 outputOf(int row) const { return (i64(b) * a.t + row / a.group) * a.h + head(row); }
    // Keys that any of the rows up to `last` may see.
    DEVICE int visible(int last) const { return a.causal ? (last < rows - 1 ? last : rows - 1) / a.group + a.s - a.t + 1 : a.s; }
};

struct __align__(16) Four {
    float v[4];
};

// Rows of d numbers in shared memory, each 4 banks after the last, so that the 8 lanes whose 16 bytes are read at once touch different ones.
template <int D> struct Tile {
    static constexpr int PITCH = D + 4;
    float rows[KEYS][PITCH];

    DEVICE Four four(int row, int i) const { return *reinterpret_cast<const Four*>(&rows[row][i]); }
};

// Row `r` of a tile gets what `from(r)` says lies there, or zeros where that is negative; so do the numbers beyond d.
template <int D, class F> DEVICE void load(Tile<D>& tile, const char* data, int type, int d, const F& from) {
    for (int e = threadIdx.x; e < KEYS * D; e += BLOCK) {
        int r = e / D, i = e % D;
        i64 at = from(r);
        tile.rows[r][i] = at >= 0 && i < d ? Arithmetic<float>::get(data, type, at + i) : 0.f;
    }
}

// Products of N rows, which are the warp's, and one, which is the lane's: this is read once for all.
template <int N, int D> DEVICE void dots(float (&dot)[N], const Tile<D>& ofWarp, int first, const Tile<D>& ofLanes, int lane, int d) {
#pragma unroll
    for (int r = 0; r < N; r++) dot[r] = 0;
    for (int i = 0; i < d; i += 4) {
        Four own = ofLanes.four(lane, i);
#pragma unroll
        for (int r = 0; r < N; r++) {
            Four x = ofWarp.four(first + r, i);
#pragma unroll
            for (int e = 0; e < 4; e++) dot[r] = fmaf(x.v[e], own.v[e], dot[r]);
        }
    }
}

// sum[r] += sum over the tile's rows j of p[r] of lane j x_j; of D a lane has its numbers.
template <int N, int D> DEVICE void add(float (&sum)[N][D / WARP], const float (&p)[N], const Tile<D>& x, int lane) {
    for (int j = 0; j < KEYS; j++) {
        float pj[N];
#pragma unroll
        for (int r = 0; r < N; r++) pj[r] = __shfl_sync(ALL_LANES, p[r], j);
#pragma unroll
        for (int i = 0; i < D / WARP; i++) {
            float xi = x.rows[j][lane + WARP * i];
#pragma unroll
            for (int r = 0; r < N; r++) sum[r][i] = fmaf(pj[r], xi, sum[r][i]);
        }
    }
}
