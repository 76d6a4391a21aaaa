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
