// One axis folded. Meaning: Reduce.java.
//
//   sum: y = sum x        max: y = max x        argmax: the first position of the maximum
//
// x: [outer, n, inner], y: [outer, inner] of chunks: where there are few results, each of gridDim.y chunks of n is folded by itself into y: [outer, chunks, inner], and another launch
// folds those. A NaN is larger than anything.
//
//   reduce_rows      inner = 1: a block for each row, or a warp where rows are short
//   reduce_columns   a thread for each column, so that a warp reads neighbours
//
// x is read once. Versions: _f32 for F32 and what is stored in 16 bits, _f64 for everything; reduce_short_rows for rows up to 512.
#include "elements.cuh"
#include "rows.cuh"

// In the order of Reduce.Law.
enum Law { SUM, MAX, ARGMAX };

template <class R> struct Folded {
    R value;
    i64 at;
};

template <class R> DEVICE Folded<R> nothing(Law law) { return {law == SUM ? R(0) : R(-INFINITY), 0x7fffffffffffffffll}; }

template <class R> DEVICE Folded<R> fold(Law law, Folded<R> a, Folded<R> b) {
    if (law == SUM) return {a.value + b.value, 0};
    bool aIsNan = a.value != a.value, bIsNan = b.value != b.value;
    bool isB = aIsNan || bIsNan ? bIsNan && (!aIsNan || b.at < a.at) : b.value > a.value || (b.value == a.value && b.at < a.at);
    return isB ? b : a;
}

template <class R> DEVICE void store(Law law, Folded<R> f, char* y, int yType, i64 to) { Arithmetic<double>::put(y, yType, to, law == ARGMAX ? double(f.at) : double(f.value)); }

template <class R, int WIDTH> DEVICE void rows(Law law, const char* x, int xType, char* y, int yType, i64 rows, i64 n) {
    Row<WIDTH> row;
    if (row.number >= rows) return;
    i64 chunk = (n + gridDim.y - 1) / gridDim.y, begin = blockIdx.y * chunk, end = begin + chunk < n ? begin + chunk : n;
    Folded<R> f = nothing<R>(law);
    for (i64 i = begin + row.lane; i < end; i += WIDTH) f = fold(law, f, {Arithmetic<R>::get(x, xType, row.number * n + i), i});
#pragma unroll
    for (int by = 16; by; by >>= 1) f = fold(law, f, {__shfl_xor_sync(ALL_LANES, f.value, by), __shfl_xor_sync(ALL_LANES, f.at, by)});
    if (WIDTH == BLOCK) {
        SHARED(R, values, [BLOCK / WARP]);
        SHARED(i64, places, [BLOCK / WARP]);
        if (threadIdx.x % WARP == 0) {
            values[threadIdx.x / WARP] = f.value;
            places[threadIdx.x / WARP] = f.at;
        }
        __syncthreads();
        if (threadIdx.x == 0)
            for (int i = 1; i < BLOCK / WARP; i++) f = fold(law, f, {values[i], places[i]});
    }
    if (row.lane == 0) store(law, f, y, yType, row.number * gridDim.y + blockIdx.y);
}

template <class R> DEVICE void columns(Law law, const char* x, int xType, char* y, int yType, i64 outer, i64 n, i64 inner) {
    i64 chunk = (n + gridDim.y - 1) / gridDim.y, begin = blockIdx.y * chunk, end = begin + chunk < n ? begin + chunk : n;
    for (i64 column = threadNumber(); column < outer * inner; column += threadCount()) {
        i64 o = column / inner, at = o * n * inner + column % inner;
        Folded<R> f = nothing<R>(law);
        for (i64 i = begin; i < end; i++) f = fold(law, f, {Arithmetic<R>::get(x, xType, at + i * inner), i});
        store(law, f, y, yType, (o * gridDim.y + blockIdx.y) * inner + column % inner);
    }
}

#define ROWS(name, R, WIDTH) \
    KERNEL(256, name, (int law, const char* x, int xType, char* y, int yType, i64 count, i64 n)) { rows<R, WIDTH>(Law(law), x, xType, y, yType, count, n); }
ROWS(reduce_rows_f32, float, BLOCK)
ROWS(reduce_short_rows_f32, float, WARP)
ROWS(reduce_rows_f64, double, BLOCK)
ROWS(reduce_short_rows_f64, double, WARP)

#define COLUMNS(name, R) \
    KERNEL(256, name, (int law, const char* x, int xType, char* y, int yType, i64 outer, i64 n, i64 inner)) { columns<R>(Law(law), x, xType, y, yType, outer, n, inner); }
COLUMNS(reduce_columns_f32, float)
COLUMNS(reduce_columns_f64, double)
