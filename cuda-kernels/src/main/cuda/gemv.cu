// A few rows times a weight, as in decoding. Meaning: MatMul.java, Q8MatMul.java, Nf4MatMul.java.
//
//   y[r, n] = sum over k of x[r, k] w[n, k]            x: [rows, k] F32; w: [n, k], rows that lie together
//
//   gemv_f32, _bf16, _f16   w as it is; plus + scale x w (after.cuh)
//   gemv_q8                 w = scale[n, k / 32] q[n, k]
//   gemv_nf4                w = value[code[i]] absmax[i / 64], i = n k + k, k a multiple of 64
//
// A warp for COLUMNS rows of w and up to ROWS of x. w is read once for these, in units of 16 bytes, or one number at a time where rows begin elsewhere: bound by reading w. x comes from the cache, in units of 16 bytes too; its numbers are wider
// than those of w, so a warp has several rows of w for what it reads of x. Versions: _1 and _8 for the most rows of x.
#include "after.cuh"
#include "elements.cuh"
#include "quantised.cuh"
#include "rows.cuh"

constexpr int MOST_ROWS = 8;

DEVICE void widen(const Unit& u, float (&to)[4], float) {
#pragma unroll
    for (int i = 0; i < 4; i++) to[i] = ofBits(u.parts[i]);
}
struct Bf16 {
    u16 bits;
};
struct Half {
    u16 bits;
};
DEVICE void widen(const Unit& u, float (&to)[8], Bf16) {
#pragma unroll
    for (int i = 0; i < 4; i++) {
        to[2 * i] = ofBits(u.parts[i] << 16);
        to[2 * i + 1] = ofBits(u.parts[i] & 0xffff0000u);
    }
}
DEVICE void widen(const Unit& u, float (&to)[8], Half) {
#pragma unroll
    for (int i = 0; i < 4; i++) {
        to[2 * i] = ptx::half_to_float(u16(u.parts[i] & 0xffff));
        to[2 * i + 1] = ptx::half_to_float(u16(u.parts[i] >> 16));
    }
}
DEVICE float widen(float w) { return w; }
DEVICE float widen(Bf16 w) { return bf16ToFloat(w.bits); }
DEVICE float widen(Half w) { return ptx::half_to_float(w.bits); }

DEVICE void read(const float* x, float (&to)[1]) { to[0] = *x; }
template <int N> DEVICE void read(const float* x, float (&to)[N]) {
#pragma unroll
    for (int i = 0; i < N; i += 4) {
        Unit u = *reinterpret_cast<const Unit*>(x + i);
#pragma unroll
        for (int j = 0; j < 4; j++) to[i + j] = ofBits(u.parts[j]);
    }
}

// What a warp has: rows [first, first + COLUMNS) of w, each times rows of x.
template <int ROWS, int COLUMNS> struct Dots {
    const float* x;
    int rows, n, k, first, lane;
    float sum[COLUMNS][ROWS];

    DEVICE Dots(const float* x, int rows, int n, int k)
        : x(x), rows(rows), n(n), k(k), first((blockIdx.x * (BLOCK / WARP) + threadIdx.x / WARP) * COLUMNS), lane(threadIdx.x % WARP), sum() {}

    // A row of w, the last one again beyond it.
    DEVICE i64 row(int c) const { return first + c < n ? first + c : n - 1; }

    // Up to where numbers may be read N at a time, from a row of w of `pitch` bytes after `w` and from x.
    template <int N> DEVICE int whole(const void* w, i64 pitch) const {
        bool isAligned = reinterpret_cast<u64>(w) % 16 == 0 && pitch % 16 == 0 && reinterpret_cast<u64>(x) % 16 == 0 && k % 4 == 0;
        return isAligned ? k / N * N : 0;
    }

    // Terms [from, to), of which w gives N at a time: at(row, k0, its numbers from k0 on).
    template <int N, class W> DEVICE void add(int from, int to, const W& at) {
        for (int k0 = from + lane * N; k0 < to; k0 += WARP * N) {
            float w[COLUMNS][N];
#pragma unroll
            for (int c = 0; c < COLUMNS; c++) at(row(c), k0, w[c]);
#pragma unroll
            for (int r = 0; r < ROWS; r++) {
                if (r >= rows) break;
                float v[N];
                read(x + i64(r) * k + k0, v);
#pragma unroll
                for (int c = 0; c < COLUMNS; c++)
#pragma unroll
                    for (int i = 0; i < N; i++) sum[c][r] = fmaf(v[i], w[c][i], sum[c][r]);
            }
        }
    }

    DEVICE void finish(float* y, const After& after, i64 firstRow) {
#pragma unroll
        for (int c = 0; c < COLUMNS; c++)
#pragma unroll
            for (int r = 0; r < ROWS; r++) {
                if (r >= rows) break;
                float all = warpFold<Sum>(sum[c][r]);
                i64 at = (firstRow + r) * n + first + c;
                if (lane == 0 && first + c < n) y[at] = after(all, at);
            }
    }
};

template <class T, int ROWS, int COLUMNS> DEVICE void gemv(const float* x, const T* w, float* y, const After& after, int rows, int n, int k, i64 pitch) {
    constexpr int N = 16 / sizeof(T);
    i64 firstRow = i64(blockIdx.y) * ROWS;
    Dots<ROWS, COLUMNS> d(x + firstRow * k, rows - firstRow < ROWS ? int(rows - firstRow) : ROWS, n, k);
    if (d.first >= n) return;
    int whole = d.template whole<N>(w, pitch * sizeof(T));
    d.template add<N>(0, whole, [&](i64 row, int k0, float (&to)[N]) { widen(*reinterpret_cast<const Unit*>(w + row * pitch + k0), to, T()); });
    d.template add<1>(whole, k, [&](i64 row, int k0, float (&to)[1]) { to[0] = widen(w[row * pitch + k0]); });
    d.finish(y, after, firstRow);
}

#define GEMV(name, T)                                                                                                                                                     \
    KERNEL(256, name##_1, (const float* x, const T* w, float* y, After after, int rows, int n, int k, i64 pitch)) { gemv<T, 1, 2>(x, w, y, after, rows, n, k, pitch); } \
    KERNEL(256, name##_8, (const float* x, const T* w, float* y, After after, int rows, int n, int k, i64 pitch)) { gemv<T, MOST_ROWS, 4>(x, w, y, after, rows, n, k, pitch); }
GEMV(gemv_f32, float)
GEMV(gemv_bf16, Bf16)
GEMV(gemv_f16, Half)

template <int ROWS, int COLUMNS> DEVICE void gemvQ8(const float* x, const signed char* q, const float* scale, float* y, int rows, int n, int k) {
    Dots<ROWS, COLUMNS> d(x, rows, n, k);
    if (d.first >= n) return;
    i64 blocks = (k + 31) / 32;
    int whole = d.template whole<16>(q, k);
    d.template add<16>(0, whole, [&](i64 row, int k0, float (&to)[16]) {
        Unit u = *reinterpret_cast<const Unit*>(q + row * k + k0);
        float s = scale[row * blocks + k0 / 32];
#pragma unroll
        for (int i = 0; i < 16; i++) to[i] = s * q8Code(u.parts, i);
    });
    d.template add<1>(whole, k, [&](i64 row, int k0, float (&to)[1]) { to[0] = scale[row * blocks + k0 / 32] * float(q[row * k + k0]); });
    d.finish(y, After{nullptr, 1}, 0);
}

template <int ROWS, int COLUMNS> DEVICE void gemvNf4(const float* x, const u8* codes, const Absmax& absmax, float* y, int rows, int n, int k) {
    SHARED(float, values, [16]);
    if (threadIdx.x < 16) values[threadIdx.x] = nf4Value(threadIdx.x);
    __syncthreads();
    Dots<ROWS, COLUMNS> d(x, rows, n, k);
    if (d.first >= n) return;
    int whole = d.template whole<16>(codes, k / 2);
    d.template add<16>(0, whole, [&](i64 row, int k0, float (&to)[16]) {
        i64 at = row * k + k0;
        HalfUnit u = *reinterpret_cast<const HalfUnit*>(codes + at / 2);
        float s = absmax.at(at / 64);
#pragma unroll
        for (int i = 0; i < 16; i++) to[i] = s * values[nf4Code(u.parts, i)];
    });
    d.template add<1>(whole, k, [&](i64 row, int k0, float (&to)[1]) {
        i64 at = row * k + k0;
        to[0] = absmax.at(at / 64) * values[at % 2 ? codes[at / 2] & 15 : codes[at / 2] >> 4];
    });
    d.finish(y, After{nullptr, 1}, 0);
}

KERNEL(256, gemv_q8_1, (const float* x, const signed char* q, const float* scale, float* y, int rows, int n, int k)) { gemvQ8<1, 4>(x, q, scale, y, rows, n, k); }
KERNEL(256, gemv_q8_8, (const float* x, const signed char* q, const float* scale, float* y, int rows, int n, int k)) { gemvQ8<MOST_ROWS, 4>(x, q, scale, y, rows, n, k); }
KERNEL(256, gemv_nf4_1, (const float* x, const u8* codes, Absmax absmax, float* y, int rows, int n, int k)) { gemvNf4<1, 4>(x, codes, absmax, y, rows, n, k); }
KERNEL(256, gemv_nf4_8, (const float* x, const u8* codes, Absmax absmax, float* y, int rows, int n, int k)) { gemvNf4<MOST_ROWS, 4>(x, codes, absmax, y, rows, n, k); }
