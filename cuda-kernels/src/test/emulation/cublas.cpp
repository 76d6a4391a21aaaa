// A stand-in for cuBLAS: the part of it that Graft calls, as plain loops over the emulated device's memory.
#include <cstdint>
#include <cstring>
#include <memory>
#include <vector>
#define EXPORT extern "C" __attribute__((visibility("default")))

// ---- driver.cpp ----
extern "C" int emulation_submit(void* stream, int (*f)(void*), void* argument);
extern "C" float emulation_tensor_core_sum(const float* a, const float* b, int terms);
extern "C" int emulation_range(uint64_t address, size_t bytes, int isWritten);

namespace {

enum Status { DONE = 0, INVALID_VALUE = 7, EXECUTION_FAILED = 13, NOT_SUPPORTED = 15 };
enum Type { R_32F = 0, R_16BF = 14 };
constexpr int COMPUTE_32F = 68, ILLEGAL_ADDRESS = 700;

struct Handle {
    void* stream = nullptr;
};

float get(const char* p, size_t i) {
    uint32_t bits = uint32_t(reinterpret_cast<const uint16_t*>(p)[i]) << 16;
    float f;
    memcpy(&f, &bits, 4);
    return f;
}

// C ← alpha op(A) op(B) + beta C, column after column.
struct Product {
    bool transposeA, transposeB;
    int m, n, k, lda, ldb, ldc, batch;
    float alpha, beta;
    const char *a, *b;
    char* c;
    long long strideA, strideB, strideC;

    static bool isThere(const void* p, size_t columns, size_t rows, size_t ld, size_t size, bool isWritten) {
        return emulation_range(reinterpret_cast<uint64_t>(p), ((columns - 1) * ld + rows) * size, isWritten);
    }

    bool run(int number) const {
        const char *x = a + number * strideA * 2, *y = b + number * strideB * 2;
        char* z = c + number * strideC * 4;
        if (!isThere(x, transposeA ? m : k, transposeA ? k : m, lda, 2, false) || !isThere(y, transposeB ? k : n, transposeB ? n : k, ldb, 2, false)) return false;
        if (beta != 0 && !isThere(z, n, m, ldc, 4, false)) return false;
        if (!isThere(z, n, m, ldc, 4, true)) return false;
        for (int j = 0; j < n; j++)
            for (int i = 0; i < m; i++) {
                std::vector<float> p(size_t(k + 7) / 8 * 8), q(p.size());
                for (int l = 0; l < k; l++) {
                    p[l] = get(x, transposeA ? size_t(i) * lda + l : size_t(l) * lda + i);
                    q[l] = get(y, transposeB ? size_t(l) * ldb + j : size_t(j) * ldb + l);
                }
                float& to = reinterpret_cast<float*>(z)[size_t(j) * ldc + i];
                to = alpha * emulation_tensor_core_sum(p.data(), q.data(), int(p.size())) + (beta != 0 ? beta * to : 0);
            }
        return true;
    }
};

int run(void* product) {
    std::unique_ptr<Product> p(static_cast<Product*>(product));
    for (int i = 0; i < p->batch; i++)
        if (!p->run(i)) return ILLEGAL_ADDRESS;
    return 0;
}

}  // namespace

EXPORT int cublasCreate_v2(Handle** handle) {
    *handle = new Handle;
    return DONE;
}
EXPORT int cublasDestroy_v2(Handle* handle) {
    delete handle;
    return DONE;
}
EXPORT int cublasSetStream_v2(Handle* handle, void* stream) {
    handle->stream = stream;
    return DONE;
}
EXPORT int cublasSetWorkspace_v2(Handle*, void*, size_t) { return DONE; }
EXPORT int cublasGetProperty(int which, int* value) {
    *value = which == 0 ? 13 : 0;
    return DONE;
}
EXPORT int cublasGetVersion_v2(Handle*, int* version) {
    *version = 130000;
    return DONE;
}
EXPORT const char* cublasGetStatusString(int status) {
    switch (status) {
        case DONE: return "done";
        case INVALID_VALUE: return "an invalid value";
        case EXECUTION_FAILED: return "the product failed";
        default: return "not supported by the stand-in";
    }
}
EXPORT int cublasGemmStridedBatchedEx(Handle* handle, int transposeA, int transposeB, int m, int n, int k, const void* alpha, const void* a, int typeA, int lda, long long strideA, const void* b, int typeB,
    int ldb, long long strideB, const void* beta, void* c, int typeC, int ldc, long long strideC, int batch, int compute, int) {
    if (typeA != R_16BF || typeB != R_16BF || typeC != R_32F || compute != COMPUTE_32F) return NOT_SUPPORTED;
    if (m < 0 || n < 0 || k < 0 || lda < (transposeA ? k : m) || ldb < (transposeB ? n : k) || ldc < m) return INVALID_VALUE;
    auto p = new Product{transposeA != 0, transposeB != 0, m, n, k, lda, ldb, ldc, batch, *static_cast<const float*>(alpha), *static_cast<const float*>(beta), static_cast<const char*>(a),
        static_cast<const char*>(b), static_cast<char*>(c), strideA, strideB, strideC};
    return emulation_submit(handle->stream, run, p) ? EXECUTION_FAILED : DONE;
}
