// Matrix product of any types and strides. Meaning: MatMul.java.
//
//   c[b] = a[b] b[b]            a: [m, k], b: [k, n], c: [m, n], row-major            (in F32 also plus + scale a b: after.cuh)
//
// Where c has few tiles for many terms, as a gradient of LoRA's matrices, each of `parts` runs of terms is summed by itself, c[b, part], and another launch (reduce.cu) adds them.
//
// What is left where neither tensor cores (gemm_mma.cu) nor a few rows (gemv.cu) apply: F64, small products, batches of odd strides. A block makes a tile of 64 x 64, a thread 4 x 4 of it: 8 numbers from
// shared memory for 16 multiply-adds; a is read n / 64 times, b m / 64 times. Versions: _f32 for F32 and what is stored in 16 bits, _f64 for everything.
#include "after.cuh"
#include "elements.cuh"

// A batch of matrices where they lie: matrix b begins where element b of `first` is.
struct Matrices {
    Operand first;
    i64 row, column;
};

constexpr int TILE = 64, DEPTH = 16;

// A tile [64, 16] of `x`, whose rows are counted from r0 and columns from k0, into shared memory as [16, 64]; zeros beyond the matrix. Threads go along whatever lies together.
template <class R> DEVICE void load(R (&to)[DEPTH][TILE + 4], const char* x, int type, i64 first, i64 row, i64 column, int r0, int k0, int rows, int ks) {
    bool isAlongK = column == 1;
#pragma unroll
    for (int e = threadIdx.x; e < TILE * DEPTH; e += 256) {
        int r = isAlongK ? e / DEPTH : e % TILE, k = isAlongK ? e % DEPTH : e / TILE;
        bool isInside = r0 + r < rows && k0 + k < ks;
        to[k][r] = isInside ? Arithmetic<R>::get(x, type, first + (r0 + r) * row + (k0 + k) * column) : R(0);
    }
}

template <class R, class A> DEVICE void product(const Matrices& a, const Matrices& b, R* c, const A& after, int m, int n, int k, i64 batch, int parts) {
    SHARED(R, as, [DEPTH][TILE + 4]);
    SHARED(R, bs, [DEPTH][TILE + 4]);
    int j0 = blockIdx.x * TILE, ti = threadIdx.x / 16 * 4, tj = threadIdx.x % 16 * 4;
    int terms = ((k + parts - 1) / parts + DEPTH - 1) / DEPTH * DEPTH;
    for (i64 z = blockIdx.z; z < batch * parts; z += gridDim.z) {
        i64 firstA = placeOf(a.first, z / parts), firstB = placeOf(b.first, z / parts);
        int begin = int(z % parts) * terms, end = begin + terms < k ? begin + terms : k;
        for (int i0 = blockIdx.y * TILE; i0 < m; i0 += gridDim.y * TILE) {
            R sum[4][4] = {};
            for (int k0 = begin; k0 < end; k0 += DEPTH) {
                load<R>(as, a.first.data, a.first.type, firstA, a.row, a.column, i0, k0, m, end);
                load<R>(bs, b.first.data, b.first.type, firstB, b.column, b.row, j0, k0, n, end);
                __syncthreads();
#pragma unroll
                for (int l = 0; l < DEPTH; l++) {
                    R x[4], y[4];
#pragma unroll
                    for (int i = 0; i < 4; i++) x[i] = as[l][ti + i];
#pragma unroll
                    for (int j = 0; j < 4; j++) y[j] = bs[l][tj + j];
#pragma unroll
                    for (int i = 0; i < 4; i++)
#pragma unroll
                        for (int j = 0; j < 4; j++) sum[i][j] = fma(x[i], y[j], sum[i][j]);
                }
                __syncthreads();
            }
            i64 origin = z * m * n;
#pragma unroll
            for (int i = 0; i < 4; i++)
#pragma unroll
                for (int j = 0; j < 4; j++)
                    if (i0 + ti + i < m && j0 + tj + j < n) {
                        i64 at = origin + i64(i0 + ti + i) * n + j0 + tj + j;
                        c[at] = after(sum[i][j], at);
                    }
        }
    }
}

struct Nothing {
    DEVICE double operator()(double sum, i64) const { return sum; }
};

KERNEL(256, matmul_f32, (const __grid_constant__ Matrices a, const __grid_constant__ Matrices b, float* c, After after, int m, int n, int k, i64 batch, int parts)) { product<float>(a, b, c, after, m, n, k, batch, parts); }
KERNEL(256, matmul_f64, (const __grid_constant__ Matrices a, const __grid_constant__ Matrices b, double* c, int m, int n, int k, i64 batch, int parts)) { product<double>(a, b, c, Nothing{}, m, n, k, batch, parts); }
