package dev.graft.cuda.driver;

import static dev.graft.cuda.driver.NativeLibrary.result;
import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import dev.graft.cuda.driver.NativeLibrary.Call;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;

/// cuBLAS through `java.lang.foreign`: the library of CUDA 13, or of 12.
final class PanamaBlas implements Blas {
    private static final int NO_TRANSPOSE = 0, TRANSPOSE = 1, R_32F = 0, R_16BF = 14, COMPUTE_32F = 68, DEFAULT_ALGORITHM = -1;

    private final NativeLibrary library;
    private final MethodHandle create, setStream, setWorkspace, getProperty, getStatusString, gemm;
    private final ThreadLocal<MemorySegment> scratch = ThreadLocal.withInitial(() -> Arena.ofAuto().allocate(64, 16));

    /// @param path of the library, or its name where the system looks for libraries
    /// @throws IllegalArgumentException when there is none
    PanamaBlas(String path) {
        library = new NativeLibrary(path, "cuBLAS 12 or newer");
        create = bind("cublasCreate_v2", ADDRESS);
        setStream = bind("cublasSetStream_v2", JAVA_LONG, JAVA_LONG);
        setWorkspace = bind("cublasSetWorkspace_v2", JAVA_LONG, JAVA_LONG, JAVA_LONG);
        getProperty = bind("cublasGetProperty", JAVA_INT, ADDRESS);
        getStatusString = library.function("cublasGetStatusString", FunctionDescriptor.of(ADDRESS, JAVA_INT));
        gemm = bind("cublasGemmStridedBatchedEx", JAVA_LONG, JAVA_INT, JAVA_INT, JAVA_INT, JAVA_INT, JAVA_INT, ADDRESS,
                JAVA_LONG, JAVA_INT, JAVA_INT, JAVA_LONG, JAVA_LONG, JAVA_INT, JAVA_INT, JAVA_LONG, ADDRESS,
                JAVA_LONG, JAVA_INT, JAVA_INT, JAVA_LONG, JAVA_INT, JAVA_INT, JAVA_INT);
    }

    private MethodHandle bind(String name, MemoryLayout... arguments) {
        return library.function(name, FunctionDescriptor.of(JAVA_INT, arguments));
    }

    private void call(String name, Call call) {
        int status = result(call);
        if (status != 0) throw Blas.failed(name, status, words(status));
    }

    @SuppressWarnings("restricted") // a text of the library's own, which ends with a 0
    private String words(int status) {
        try {
            return ((MemorySegment) getStatusString.invokeExact(status)).reinterpret(4096).getString(0);
        } catch (Throwable t) {
            throw new AssertionError(t);
        }
    }

    private int property(int which) {
        MemorySegment to = scratch.get();
        call("cublasGetProperty", () -> (int) getProperty.invokeExact(which, to));
        return to.get(JAVA_INT, 0);
    }

    @Override
    public String name() {
        return "cuBLAS " + property(0) + "." + property(1);
    }

    @Override
    public long open(long stream, long workspace) {
        MemorySegment to = scratch.get();
        call("cublasCreate", () -> (int) create.invokeExact(to));
        long handle = to.get(JAVA_LONG, 0);
        call("cublasSetStream", () -> (int) setStream.invokeExact(handle, stream));
        call("cublasSetWorkspace", () -> (int) setWorkspace.invokeExact(handle, workspace, WORKSPACE));
        return handle;
    }

    /// cuBLAS counts columns where we count rows: for it this is Cᵀ = B Aᵀ.
    @Override
    public void gemm(long handle, int m, int n, int k, long a, int pitchA, long strideA, long b, int pitchB, long strideB, float alpha,
            float beta, long c, int batch) {
        MemorySegment numbers = scratch.get(), scale = numbers.asSlice(0, 4), kept = numbers.asSlice(4, 4);
        scale.set(JAVA_FLOAT, 0, alpha);
        kept.set(JAVA_FLOAT, 0, beta);
        call("cublasGemmStridedBatchedEx", () -> (int) gemm.invokeExact(handle, TRANSPOSE, NO_TRANSPOSE, n, m, k, scale, b, R_16BF, pitchB,
                strideB, a, R_16BF, pitchA, strideA, kept, c, R_32F, n, (long) m * n, batch, COMPUTE_32F, DEFAULT_ALGORITHM));
    }
}
