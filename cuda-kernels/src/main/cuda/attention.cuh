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

// Rows of d numbers in shared memory, 4 apart from a multiple of 32 banks, so that lanes reading a number of each touch different banks.
template <int D> struct Tile {
    static constexpr int PITCH = D + 4;
    float rows[KEYS][PITCH];
};

// Row `r` of a tile gets what `from(r)` says lies there, or zeros where that is negative; so do the numbers beyond d.
template <int D, class F> DEVICE void load(Tile<D>& tile, const char* data, int type, int d, const F& from) {
    for (int e = threadIdx.x; e < KEYS * D; e += BLOCK) {
        int r = e / D, i = e % D;
        i64 at = from(r);
        tile.rows[r][i] = at >= 0 && i < d ? Arithmetic<float>::get(data, type, at + i) : 0.f;
    }
}

template <int D> DEVICE float dot(const float* a, const float* b, int d) {
    float sum = 0;
    for (int i = 0; i < d; i++) sum = fmaf(a[i], b[i], sum);
    return sum;
}
