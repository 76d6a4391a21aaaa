package dev.graft.cuda.driver;

import java.util.Optional;
import jcuda.Pointer;
import jcuda.cudaDataType;
import jcuda.jcublas.JCublas2;
import jcuda.jcublas.cublasComputeType;
import jcuda.jcublas.cublasHandle;
import jcuda.jcublas.cublasOperation;
import jcuda.runtime.cudaStream_t;

/// cuBLAS through JCublas 12.6, which wants the library of CUDA 12.
final class JcublasBlas implements Blas {
    private static final int DEFAULT_ALGORITHM = -1;

    private final JcudaDriver driver;

    private JcublasBlas(JcudaDriver driver) {
        this.driver = driver;
        JCublas2.setExceptionsEnabled(false);                                    // loads it
    }

    /// @param path of the library, to be taken instead of the system's; null for that
    @SuppressWarnings("restricted") // the library is cuBLAS, or what somebody named in its place
    static Optional<Blas> find(JcudaDriver driver, String path) {
        try {
            if (path != null) System.load(path);
            return Optional.of(new JcublasBlas(driver));
        } catch (NoClassDefFoundError | UnsatisfiedLinkError e) {
            if (path != null) throw new IllegalArgumentException("cuBLAS cannot be called through JCublas: " + e.getMessage(), e);
            return Optional.empty();
        }
    }

    private static void check(String call, int status) {
        if (status != 0) throw Blas.failed(call, status, JCublas2.cublasGetStatusString(status));
    }

    @Override
    public String name() {
        return "cuBLAS 12";
    }

    @Override
    public long open(long stream, long workspace) {
        cublasHandle handle = new cublasHandle();
        check("cublasCreate", JCublas2.cublasCreate(handle));
        check("cublasSetStream", JCublas2.cublasSetStream(handle, new cudaStream_t(driver.stream(stream))));
        check("cublasSetWorkspace", JCublas2.cublasSetWorkspace(handle, JcudaDriver.address(workspace), WORKSPACE));
        return driver.keep(handle);
    }

    /// cuBLAS counts columns where we count rows: for it this is Cᵀ = B Aᵀ.
    @Override
    public void gemm(long handle, int m, int n, int k, long a, int pitchA, long strideA, long b, int pitchB, long strideB, float alpha,
            float beta, long c, int batch) {
        check("cublasGemmStridedBatchedEx", JCublas2.cublasGemmStridedBatchedEx_new(driver.get(handle, cublasHandle.class),
                cublasOperation.CUBLAS_OP_T,
                cublasOperation.CUBLAS_OP_N, n, m, k, Pointer.to(new float[] {alpha}), JcudaDriver.address(b), cudaDataType.CUDA_R_16BF,
                pitchB, strideB,
                JcudaDriver.address(a), cudaDataType.CUDA_R_16BF, pitchA, strideA, Pointer.to(new float[] {beta}), JcudaDriver.address(c),
                cudaDataType.CUDA_R_32F, n, (long) m * n, batch, cublasComputeType.CUBLAS_COMPUTE_32F, DEFAULT_ALGORITHM));
    }
}
