// Elements moved, as they are or into another type. Meaning: Copy.java, Cat.java (each part into its place), Cast.java.
//
//   copy:  y = x, elements of `bytes` bytes
//   cast:  y = x in y's type: rounded to nearest, ties to even, into a narrower floating one; towards zero into an integer, saturating
//   copy_transposed:  y[b, j, i] = x[b, i, j]; x: [B, M, N] with rows that lie together, so that reading along rows and writing along columns both touch whole lines of memory
//
// x, y: any shape and strides but for the last. Read and written once. Versions: cast_f32 for F32 and what is stored in 16 bits, cast_f64 for everything; copy_transposed for elements of 2 and 4 bytes.
#include "elements.cuh"

template <class T> DEVICE void copy(const Operand& x, const Operand& y, i64 n) {
    for (i64 i = threadNumber(); i < n; i += threadCount()) reinterpret_cast<T*>(y.data)[placeOf(y, i)] = reinterpret_cast<const T*>(x.data)[placeOf(x, i)];
}

KERNEL(256, copy_any, (int bytes, const __grid_constant__ Operand x, const __grid_constant__ Operand y, i64 n)) {
    switch (bytes) {
        case 1: copy<u8>(x, y, n); break;
        case 2: copy<u16>(x, y, n); break;
        case 4: copy<u32>(x, y, n); break;
        default: copy<u64>(x, y, n);
    }
}

KERNEL(256, cast_f32, (const __grid_constant__ Operand x, const __grid_constant__ Operand y, i64 n)) {
    for (i64 i = threadNumber(); i < n; i += threadCount()) put<float>(y, i, get<float>(x, i));
}
KERNEL(256, cast_f64, (const __grid_constant__ Operand x, const __grid_constant__ Operand y, i64 n)) {
    for (i64 i = threadNumber(); i < n; i += threadCount()) put<double>(y, i, get<double>(x, i));
}

constexpr int TILE = 32;

// A block of 32 x 8 threads moves a tile of 32 x 32 by way of shared memory, whose rows are one longer, so that a column lies in 32 different banks.
template <class T> DEVICE void transposed(const T* x, T* y, int m, int n, i64 xRow, i64 xBatch) {
    SHARED(T, tile, [TILE][TILE + 1]);
    x += blockIdx.z * xBatch;
    y += i64(blockIdx.z) * m * n;
    int tx = threadIdx.x % TILE, ty = threadIdx.x / TILE;
    int i0 = blockIdx.y * TILE, j0 = blockIdx.x * TILE;
    for (int k = ty; k < TILE; k += 8)
        if (i0 + k < m && j0 + tx < n) tile[k][tx] = x[(i0 + k) * xRow + j0 + tx];
    __syncthreads();
    for (int k = ty; k < TILE; k += 8)
        if (j0 + k < n && i0 + tx < m) y[i64(j0 + k) * m + i0 + tx] = tile[tx][k];
}

KERNEL(256, copy_transposed_16, (const u16* x, u16* y, int m, int n, i64 xRow, i64 xBatch)) { transposed(x, y, m, n, xRow, xBatch); }
KERNEL(256, copy_transposed_32, (const u32* x, u32* y, int m, int n, i64 xRow, i64 xBatch)) { transposed(x, y, m, n, xRow, xBatch); }
