// C++ twins of the functions in ptx.cuh, each as the PTX manual describes it.
#pragma once

namespace ptx {

inline float half_to_float(u16 h) { _Float16 f; memcpy(&f, &h, 2); return float(f); }
inline u16 float_to_half(float f) { _Float16 h = _Float16(f); u16 bits; memcpy(&bits, &h, 2); return bits; }

inline float lowBf16(u32 u) { return __uint_as_float(u << 16); }
inline float highBf16(u32 u) { return __uint_as_float(u & 0xffff0000u); }

struct MmaArgument {
    float d[4];
    u32 a[4], b[2];
};
__attribute__((no_sanitize("thread"))) inline void mmaAll(emulation::Thread** lane, unsigned mask) {
    if (mask != 0xffffffffu) emulation::fail("mma.sync needs all lanes of the warp, mask %08x", mask);
    float a[16][16], b[8][16];
    for (int i = 0; i < 32; i++) {
        MmaArgument& m = lane[i]->argument<MmaArgument>();
        int group = i >> 2, pair = (i & 3) * 2;
        for (int r = 0; r < 4; r++) {
            int row = group + (r & 1) * 8, column = pair + (r >> 1) * 8;
            a[row][column] = lowBf16(m.a[r]);
            a[row][column + 1] = highBf16(m.a[r]);
        }
        for (int r = 0; r < 2; r++) {
            int k = pair + r * 8;
            b[group][k] = lowBf16(m.b[r]);
            b[group][k + 1] = highBf16(m.b[r]);
        }
    }
    for (int i = 0; i < 32; i++) {
        MmaArgument& m = lane[i]->argument<MmaArgument>();
        float* to = lane[i]->result<float[4]>();
        for (int r = 0; r < 4; r++) to[r] = emulation::tensorCoreSum(m.d[r], a[(i >> 2) + (r >> 1) * 8], b[(i & 3) * 2 + (r & 1)], 16);
    }
}
inline void mma_bf16(float (&d)[4], const u32 (&a)[4], const u32 (&b)[2], AT_LINE) {
    MmaArgument& m = emulation::current->argument<MmaArgument>();
    memcpy(m.d, d, 16);
    memcpy(m.a, a, 16);
    memcpy(m.b, b, 8);
    emulation::warpCollective(&mmaAll, 0xffffffffu, line);
    memcpy(d, emulation::current->out, 16);
}

template <bool TRANSPOSED> __attribute__((no_sanitize("thread"))) void loadMatrixAll(emulation::Thread** lane, unsigned mask) {
    if (mask != 0xffffffffu) emulation::fail("ldmatrix needs all lanes of the warp, mask %08x", mask);
    for (int i = 0; i < 32; i++) {
        const char* p = lane[i]->argument<const char*>();
        if (uintptr_t(p) & 15) emulation::fail("ldmatrix at line %d: the address of lane %d is not a multiple of 16", lane[i]->line, i);
        emulation::checkAccess(lane[i], p, 16, false, false);
    }
    for (int i = 0; i < 32; i++)
        for (int m = 0; m < 4; m++)
            for (int half = 0; half < 2; half++) {
                int row = TRANSPOSED ? (i & 3) * 2 + half : i >> 2, column = TRANSPOSED ? i >> 2 : (i & 3) * 2 + half;
                memcpy(lane[i]->out + 4 * m + 2 * half, lane[m * 8 + row]->argument<const char*>() + 2 * column, 2);
            }
}
template <bool TRANSPOSED> inline void load_matrix(u32 (&r)[4], const void* shared, int line) {
    emulation::current->argument<const void*>() = shared;
    emulation::warpCollective(&loadMatrixAll<TRANSPOSED>, 0xffffffffu, line);
    memcpy(r, emulation::current->out, 16);
}
inline void ldmatrix(u32 (&r)[4], const void* shared, AT_LINE) { load_matrix<false>(r, shared, line); }
inline void ldmatrix_transposed(u32 (&r)[4], const void* shared, AT_LINE) { load_matrix<true>(r, shared, line); }

// Of 16 bytes the first `bytes` are copied, the rest are zeros.
inline void copy_async(void* shared, const void* global, int bytes = 16) {
    if (bytes < 16) {
        if (bytes) emulation::checkAccess(emulation::current, global, unsigned(bytes), false, false);
        static const char zeros[16] = {};
        emulation::copyLater(shared, zeros, 16);
        if (bytes) emulation::copyLater(shared, global, unsigned(bytes));
    } else {
        emulation::copyLater(shared, global, 16);
    }
}
inline void copy_commit() { emulation::current->copyGroup++; }
template <int N> inline void copy_wait() { emulation::awaitCopies(N); }

// ---- Hopper ----
inline void mbarrier_init(u64* b, unsigned n) { emulation::mbarrierInit(b, n); }
inline void mbarrier_arrive(u64* b) { emulation::mbarrierArrive(b, 0); }
inline void mbarrier_expect(u64* b, unsigned bytes) { emulation::mbarrierArrive(b, bytes); }
inline void mbarrier_wait(u64* b, unsigned parity, AT_LINE) { emulation::mbarrierWait(b, parity, line); }
inline void fence_mbarrier_init() { emulation::fenceMbarrierInit(); }
inline void tma_load(void* shared, const void* map, int x, int y, u64* bar) { emulation::tmaLoad2d(shared, map, x, y, bar); }
inline u64 descriptor(const void* shared) { return tileAt(u32(static_cast<const char*>(shared) - static_cast<const char*>(emulation::sharedDynamic()))); }
inline void wgmma_fence(AT_LINE) { emulation::productFence(line); }
inline void wgmma_commit(AT_LINE) { emulation::productCommit(line); }
template <int N> inline void wgmma_wait(AT_LINE) { emulation::awaitProducts(N, line); }
inline void wgmma_hold(float (&)[64]) {}
inline void wgmma_m64n128k16(float (&d)[64], u64 a, u64 b, AT_LINE) { emulation::productLater(d, a, b, line); }

}  // namespace ptx
