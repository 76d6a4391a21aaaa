// A few rows times a weight, as in decoding. Meaning: MatMul.java, Q8MatMul.java, Nf4MatMul.java.
//
//   y[r, n] = sum over k of x[r, k] w[n, k]            x: [rows, k] F32; w: [n, k], rows that lie together
//
//   gemv_f32, _bf16, _f16   w as it is; plus + scale x w (after.cuh)
//   gemv_q8                 w = scale[n, k / 32] q[n, k]
//   gemv_nf4                w = value[code[i]] absmax[i / 64], i = n k + k, k a multiple of 64
//
// A warp for each row of w and up to 8 of x. w is read once for these, in units of 16 bytes, or one number at a time where rows begin elsewhere: bound by reading w. x comes from the cache. Versions: _1 and _8 for the most rows of x.
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

// Sums of ROWS rows of x with what `w` gives: at(k0, to) the N numbers from k0 on.
template <int ROWS, int N, class W> DEVICE void dots(float (&sum)[ROWS], const float* x, int rows, int k, int from, int to, int lane, const W& at) {
    for (int k0 = from + lane * N; k0 < to; k0 += 32 * N) {
        float w[N];
        at(k0, w);
#pragma unroll
        for (int r = 0; r < ROWS; r++) {
            if (r >= rows) break;
#pragma unroll
            for (int i = 0; i < N; i++) sum[r] = fmaf(x[i64(r) * k + k0 + i], w[i], sum[r]);
        }
    }
}

template <int ROWS> DEVICE void finish(float (&sum)[ROWS], float* y, const After& after, i64 firstRow, int rows, int n, int row, int lane) {
#pragma unroll
    for (int r = 0; r < ROWS; r++) {
        if (r >= rows) break;
        float all = warpFold<Sum>(sum[r]);
        i64 at = (firstRow + r) * n + row;
        if (lane == 0) y[at] = after(all, at);
    }
}

template <class T, int ROWS> DEVICE void gemv(const float* x, const T* w, float* y, const After& after, int rows, int n, int k, i64 pitch) {
    constexpr int N = 16 / sizeof(T);
    i64 firstRow = i64(blockIdx.y) * ROWS;
    x += firstRow * k;
    rows = rows - firstRow < ROWS ? int(rows - firstRow) : ROWS;
    int row = blockIdx.x * (BLOCK / WARP) + threadIdx.x / WARP, lane = threadIdx.x % WARP;
    if (row >= n) return;
    const T* own = w + row * pitch;
    float sum[ROWS] = {};
    int whole = reinterpret_cast<u64>(own) % 16 == 0 ? k / N * N : 0;
    dots<ROWS, N>(sum, x, rows, k, 0, whole, lane, [&](int k0, float (&to)[N]) { widen(*reinterpret_cast<const Unit*>(own + k0), to, T()); });
    dots<ROWS, 1>(sum, x, rows, k, whole, k, lane, [&](int k0, float (&to)[1]) { to[0] = widen(own[k0]); });
    finish(sum, y, after, firstRow, rows, n, row, lane);
}

#define GEMV(name, T)                                                                                                                                                  \
    KERNEL(256, name##_1, (const float* x, const T* w, float* y, After after, int rows, int n, int k, i64 pitch)) { gemv<T, 1>(x, w, y, after, rows, n, k, pitch); } \
    KERNEL(256, name##_8, (const float* x, const T* w, float* y, After after, int rows, int n, int k, i64 pitch)) { gemv<T, MOST_ROWS>(x, w, y, after, rows, n, k, pitch); }
GEMV(gemv_f32, float)
GEMV(gemv_bf16, Bf16)
GEMV(gemv_f16, Half)

template <int ROWS> DEVICE void gemvQ8(const float* x, const signed char* q, const float* scale, float* y, int rows, int n, int k) {
    int row = blockIdx.x * (BLOCK / WARP) + threadIdx.x / WARP, lane = threadIdx.x % WARP, blocks = (k + 31) / 32;
    if (row >= n) return;
    const signed char* own = q + i64(row) * k;
    const float* scales = scale + i64(row) * blocks;
    float sum[ROWS] = {};
    int whole = reinterpret_cast<u64>(own) % 16 == 0 ? k / 16 * 16 : 0;
    dots<ROWS, 16>(sum, x, rows, k, 0, whole, lane, [&](int k0, float (&to)[16]) {
        Unit u = *reinterpret_cast<const Unit*>(own + k0);
        float s = scales[k0 / 32];
#pragma unroll
        for (int i = 0; i < 16; i++) to[i] = s * q8Code(u.parts, i);
    });
    dots<ROWS, 1>(sum, x, rows, k, whole, k, lane, [&](int k0, float (&to)[1]) { to[0] = scales[k0 / 32] * float(own[k0]); });
    finish(sum, y, After{nullptr, 1}, 0, rows, n, row, lane);
}

template <int ROWS> DEVICE void gemvNf4(const float* x, const u8* codes, const Absmax& absmax, float* y, int rows, int n, int k) {
    int row = blockIdx.x * (BLOCK / WARP) + threadIdx.x / WARP, lane = threadIdx.x % WARP;
    SHARED(float, values, [16]);
    if (threadIdx.x < 16) values[threadIdx.x] = nf4Value(threadIdx.x);
    __syncthreads();
    if (row >= n) return;
    i64 first = i64(row) * k;
    float sum[ROWS] = {};
    dots<ROWS, 8>(sum, x, rows, k, 0, k, lane, [&](int k0, float (&to)[8]) {
        const u8* own = codes + (first + k0) / 2;
        float s = absmax.at((first + k0) / 64);
#pragma unroll
        for (int i = 0; i < 4; i++) {
            to[2 * i] = s * values[own[i] >> 4];
            to[2 * i + 1] = s * values[own[i] & 15];
        }
    });
    finish(sum, y, After{nullptr, 1}, 0, rows, n, row, lane);
}

KERNEL(256, gemv_q8_1, (const float* x, const signed char* q, const float* scale, float* y, int rows, int n, int k)) { gemvQ8<1>(x, q, scale, y, rows, n, k); }
KERNEL(256, gemv_q8_8, (const float* x, const signed char* q, const float* scale, float* y, int rows, int n, int k)) { gemvQ8<MOST_ROWS>(x, q, scale, y, rows, n, k); }
KERNEL(256, gemv_nf4_1, (const float* x, const u8* codes, Absmax absmax, float* y, int rows, int n, int k)) { gemvNf4<1>(x, codes, absmax, y, rows, n, k); }
KERNEL(256, gemv_nf4_8, (const float* x, const u8* codes, Absmax absmax, float* y, int rows, int n, int k)) { gemvNf4<MOST_ROWS>(x, codes, absmax, y, rows, n, k); }
