package dev.graft.cuda.driver;

/// NVIDIA's cuBLAS, as far as Graft calls it. Addresses, streams and handles are numbers, as in [Driver]; what fails throws a [CudaException].
public interface Blas {
    /// Bytes of the device that a handle is given to work in, as cuBLAS asks for on Hopper; with memory of its own it could not be part of a graph.
    long WORKSPACE = 32L << 20;

    /// What a status other than 0 is. A full device is `CUBLAS_STATUS_ALLOC_FAILED`, or `CUBLAS_STATUS_NOT_INITIALIZED` where a handle was asked for.
    static CudaException failed(String call, int status, String words) {
        boolean isFull = status == 3 || status == 1 && call.startsWith("cublasCreate");
        return new CudaException(call, isFull ? CudaException.OUT_OF_MEMORY : status, words);
    }

    /// Such as `cuBLAS 13.0`.
    String name();

    /// A handle for products on a stream of the current context.
    ///
    /// @param workspace address of [#WORKSPACE] bytes
    long open(long stream, long workspace);

    /// C ← α A Bᵀ + β C for each product of a batch; A: [m, k], B: [n, k], both bf16, C: [m, n], F32, sums in F32. Matrices are row-major.
    ///
    /// @param pitchA numbers from row to row
    /// @param strideA numbers from product to product
    void gemm(long handle, int m, int n, int k, long a, int pitchA, long strideA, long b, int pitchB, long strideB, float alpha, float beta,
            long c, int batch);
}
