// A matrix as a sum of bf16 ones, so that tensor cores multiply it without loss (Henry, Tang & Heinecke 2019, arXiv:1904.06376).
//
//   x ~ p0 + p1 + p2            p0 = bf16(x), p1 = bf16(x - p0), p2 = bf16(x - p0 - p1): 8 bits of it each
//
// x: a batch of [rows, columns] of F32, BF16 or F16, of any strides; planes: count x batch x [rows, pitch], zeros beyond the columns. Three planes hold all 24 bits of an F32, two all 11 of an F16, one a BF16.
// x is read once, 2 bytes written per element and plane. By way of a tile in shared memory, so that both sides are touched along what lies together.
#include "planes.cuh"

constexpr int TILE = 32;

// Matrix z of the batch begins where element z of `first` is.
KERNEL(256, planes, (const __grid_constant__ Operand first, i64 row, i64 column, int rows, int columns, u16* planes, int count, int pitch, i64 plane)) {
    SHARED(float, tile, [TILE][TILE + 1]);
    int i0 = blockIdx.y * TILE, j0 = blockIdx.x * TILE, tx = threadIdx.x % TILE, ty = threadIdx.x / TILE;
    i64 begin = placeOf(first, blockIdx.z);
    planes += i64(blockIdx.z) * rows * pitch;
    bool isAlongRow = column == 1 || row != 1;
    for (int s = ty; s < TILE; s += 8) {
        int i = isAlongRow ? s : tx, j = isAlongRow ? tx : s;
        bool isInside = i0 + i < rows && j0 + j < columns;
        tile[i][j] = isInside ? Arithmetic<float>::get(first.data, first.type, begin + (i0 + i) * row + (j0 + j) * column) : 0.f;
    }
    __syncthreads();
    for (int i = ty; i < TILE; i += 8) {
        if (i0 + i >= rows || j0 + tx >= pitch) continue;
        float left = tile[i][tx];
        for (int p = 0; p < count; p++) planes[p * plane + i64(i0 + i) * pitch + j0 + tx] = takePlane(left);
    }
}
