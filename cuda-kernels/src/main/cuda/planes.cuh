// Matrices as sums of bf16 ones (planes.cu) on their way into shared memory.
#pragma once
#include "elements.cuh"

constexpr int PLANES = 3;                                            // of an F32

// The next plane of a number, of which it leaves the rest.
DEVICE u16 takePlane(float& left) {
    u16 bits = floatToBf16(left);
    float rest = left - bf16ToFloat(bits);
    left = rest == rest ? rest : 0.f;                                // of an infinity nothing is left
    return bits;
}

struct Planes {
    const u16* first;
    i64 plane;                                                       // elements from plane to plane
    i64 batch;                                                       // from matrix to matrix
    int pitch;                                                       // from row to row
};

// Rows [r0, r0 + ROWS) and columns [k0, k0 + DEPTH) of one plane, zeros beyond it, by all threads of a block. Rows of the tile are 16 bytes longer than what they hold, so that the eight addresses of an
// ldmatrix lie in different banks.
template <int ROWS, int DEPTH, int THREADS> DEVICE void loadTile(u16 (&to)[ROWS][DEPTH + 8], const u16* x, int pitch, int r0, int rows, int k0, int k) {
#pragma unroll
    for (int e = threadIdx.x; e < ROWS * DEPTH / 8; e += THREADS) {
        int r = e / (DEPTH / 8), c = e % (DEPTH / 8) * 8;
        bool isInside = r0 + r < rows && k0 + c < k;
        ptx::copy_async(&to[r][c], isInside ? x + i64(r0 + r) * pitch + k0 + c : x, isInside ? 16 : 0);
    }
}

// What a warp's mma.sync takes of b: 32 rows of a tile from `row` on, 16 columns from `k0` on; [j] are rows 8 j to 8 j + 7.
template <int ROWS, int PITCH> DEVICE void loadFragments(u32 (&to)[4][2], const u16 (&tile)[ROWS][PITCH], int row, int k0, int lane) {
#pragma unroll
    for (int j = 0; j < 4; j += 2) {
        u32 four[4];
        ptx::ldmatrix(four, &tile[row + 8 * j + lane / 16 * 8 + lane % 8][k0 + lane / 8 % 2 * 8]);
        to[j][0] = four[0];
        to[j][1] = four[1];
        to[j + 1][0] = four[2];
        to[j + 1][1] = four[3];
    }
}
