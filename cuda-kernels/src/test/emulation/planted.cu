// Kernels with a bug each: the checked build of the emulator must find them. See PlantedBugsTest.java.
#include "kernel.cuh"

KERNEL(64, planted_missing_barrier, (const float* x, float* y)) {
    SHARED(float, s, [64]);
    s[threadIdx.x] = x[threadIdx.x];
    y[threadIdx.x] = s[63 - threadIdx.x];
}
KERNEL(64, planted_missing_barrier_at_loop_end, (const float* x, float* y)) {
    SHARED(float, s, [64]);
    float sum = 0;
    for (int k = 0; k < 2; k++) {
        s[threadIdx.x] = x[threadIdx.x] + k;
        __syncthreads();
        sum += s[(threadIdx.x + 1) & 63];
    }
    y[threadIdx.x] = sum;
}
KERNEL(64, planted_global_overrun, (const float* x, float* y)) {
    int i = blockIdx.x * 64 + threadIdx.x;
    if (i <= 64) y[i] = x[0];
}
KERNEL(64, planted_shared_overrun, (const float* x, float* y)) {
    SHARED(float, a, [64]);
    SHARED(float, b, [64]);
    b[threadIdx.x] = 2;
    a[threadIdx.x] = x[threadIdx.x];
    __syncthreads();
    y[threadIdx.x] = a[threadIdx.x + 1] + b[threadIdx.x];
}
KERNEL(64, planted_uninitialised_shared, (const float* x, float* y)) {
    SHARED(float, s, [64]);
    if (threadIdx.x < 63) s[threadIdx.x] = x[threadIdx.x];
    __syncthreads();
    y[threadIdx.x] = s[threadIdx.x];
}
KERNEL(64, planted_uninitialised_global, (const float* x, float* y)) { y[threadIdx.x] = x[threadIdx.x]; }
KERNEL(64, planted_divergent_barrier, (const float* x, float* y)) {
    if (threadIdx.x < 40) __syncthreads();
    y[threadIdx.x] = x[threadIdx.x];
    if (threadIdx.x >= 40) __syncthreads();
}
KERNEL(32, planted_exited_lane, (const float* x, float* y)) {
    if (threadIdx.x == 31) return;
    y[threadIdx.x] = __shfl_xor_sync(ALL_LANES, x[threadIdx.x], 1);
}
struct __align__(16) Four {
    float v[4];
};
KERNEL(32, planted_misaligned, (const float* x, float* y)) {
    Four v = *reinterpret_cast<const Four*>(x + threadIdx.x);
    y[threadIdx.x] = v.v[0] + v.v[3];
}
KERNEL(32, planted_race_of_blocks, (const float* x, float* y)) { y[threadIdx.x] = x[threadIdx.x] + blockIdx.x; }
KERNEL(32, planted_copy_without_wait, (const float* x, float* y)) {
    SHARED(Four, s, [16]);
    if (threadIdx.x < 16) ptx::copy_async(&s[threadIdx.x], x + 4 * threadIdx.x);
    ptx::copy_commit();
    __syncthreads();
    y[threadIdx.x] = s[threadIdx.x / 2].v[0];
}
KERNEL(32, planted_warp_without_sync, (const float* x, float* y)) {
    SHARED(float, s, [32]);
    s[threadIdx.x] = x[threadIdx.x];
    float one = __shfl_xor_sync(ALL_LANES, 1.f, 1);
    y[threadIdx.x] = s[threadIdx.x ^ 1] * one;
}
KERNEL(32, planted_array_overrun, (const float* x, float* y)) {
    float a[4];
    int n = int(x[4]);
    for (int i = 0; i <= n; i++) a[i] = x[i];
    y[threadIdx.x] = a[n & 3];
}

// ---- Hopper: a tile is fetched twice by the tensor memory accelerator and multiplied by its transpose ----
enum class Tile { RIGHT, WITHOUT_WAIT, WITHOUT_ARRIVE, WITHOUT_BYTES, WITHOUT_FENCE_OF_BARRIERS, MISALIGNED, WITHOUT_FENCE, WITHOUT_PRODUCT_WAIT, ARRIVING_TOO_EARLY, NOT_SWIZZLED };

struct __align__(64) TensorMap {
    u64 opaque[16];
};

template <Tile BUG> DEVICE void multiply(const TensorMap& map, float* y) {
    DYNAMIC_SHARED(u16, tile);
    struct Barriers {
        u64 full, empty;
    };
    SHARED(Barriers, barriers, );
    if (threadIdx.x == 0) {
        ptx::mbarrier_init(&barriers.full, 1);
        ptx::mbarrier_init(&barriers.empty, 128);
        if (BUG != Tile::WITHOUT_FENCE_OF_BARRIERS) ptx::fence_mbarrier_init();
    }
    __syncthreads();
    if (threadIdx.x >= 128) {
        if (threadIdx.x > 128) return;
        for (int step = 0; step < 2; step++) {
            ptx::mbarrier_wait(&barriers.empty, step ^ 1);
            if (BUG == Tile::WITHOUT_BYTES) ptx::mbarrier_arrive(&barriers.full);
            else ptx::mbarrier_expect(&barriers.full, 128 * 64 * 2);
            ptx::tma_load(tile + (BUG == Tile::MISALIGNED ? 64 : 0), &map, 0, 0, &barriers.full);
        }
        return;
    }
    float sum[64] = {};
    for (int step = 0; step < 2; step++) {
        if (BUG != Tile::WITHOUT_WAIT) ptx::mbarrier_wait(&barriers.full, step);
        if (BUG != Tile::WITHOUT_FENCE) ptx::wgmma_fence();
        u64 a = ptx::descriptor(tile) & (BUG == Tile::NOT_SWIZZLED ? ~(3ull << 62) : ~0ull);
        ptx::wgmma_m64n128k16(sum, a, ptx::descriptor(tile));
        ptx::wgmma_commit();
        if (BUG == Tile::ARRIVING_TOO_EARLY) ptx::mbarrier_arrive(&barriers.empty);
        if (BUG != Tile::WITHOUT_PRODUCT_WAIT || step == 0) ptx::wgmma_wait<0>();
        if (BUG != Tile::ARRIVING_TOO_EARLY && BUG != Tile::WITHOUT_ARRIVE) ptx::mbarrier_arrive(&barriers.empty);
    }
    if (threadIdx.x < 64) y[threadIdx.x] = sum[0];
}

#define TILE(bug, BUG) KERNEL(160, planted_tile_##bug, (const __grid_constant__ TensorMap map, float* y)) { multiply<Tile::BUG>(map, y); }
TILE(right, RIGHT)
TILE(without_wait, WITHOUT_WAIT)
TILE(without_arrive, WITHOUT_ARRIVE)
TILE(without_bytes, WITHOUT_BYTES)
TILE(without_fence_of_barriers, WITHOUT_FENCE_OF_BARRIERS)
TILE(misaligned, MISALIGNED)
TILE(without_fence, WITHOUT_FENCE)
TILE(without_product_wait, WITHOUT_PRODUCT_WAIT)
TILE(arriving_too_early, ARRIVING_TOO_EARLY)
TILE(not_swizzled, NOT_SWIZZLED)

// No bug: what a launch costs.
KERNEL(1024, does_nothing, (const float* x, const float* y)) {}
