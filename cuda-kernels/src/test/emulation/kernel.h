// The kernel language for g++: lets a .cu file compile as C++ and run on the CPU. Every CUDA thread is a fiber, a block runs on one thread of the system (block.cpp).
//
// Included by kernel.cuh where GRAFT_EMULATION is defined, in the place of what nvcc knows of itself.
#pragma once
#include <cuda.h>
#include <cuda_runtime.h>
#include <algorithm>
#include <math.h>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <utility>
#include <vector>

#undef __global__
#undef __device__
#undef __host__
#undef __constant__
#undef __shared__
#undef __launch_bounds__
#undef __forceinline__
#undef __align__
#undef __grid_constant__
#define __global__
#define __device__
#define __host__
#define __constant__ static const
#define __forceinline__ inline __attribute__((always_inline))
#define __align__(n) __attribute__((aligned(n)))
#define __launch_bounds__(...)
#define __grid_constant__

namespace emulation {

struct Thread;
// Computes the results of all lanes that take part: lane[i] is null for the others.
using Collective = void (*)(Thread** lane, unsigned mask);

enum class State { NEW, READY, AT_BARRIER, IN_COLLECTIVE, POLLING, DONE };

struct Thread {
    uint3 index;
    unsigned number, lane, warp;
    State state;
    bool started;
    void* stackPointer;
    char* stack;
    int line;                        // where it waits
    int predicate, barrierKind;
    alignas(16) unsigned char in[128];
    alignas(16) unsigned char out[64];

    // For the checker: what ran between two synchronisations is a segment.
    unsigned segment, warpEpoch;
    bool hasFenced;

    // cp.async: copies that were asked for, by group.
    struct Copy {
        void* to;
        const void* from;
        unsigned bytes, group;
    };
    std::vector<Copy> copies;
    unsigned copyGroup;

    template <class A> A& argument() {
        static_assert(sizeof(A) <= sizeof(in), "argument of a collective");
        return *reinterpret_cast<A*>(in);
    }
    template <class R> R& result() {
        static_assert(sizeof(R) <= sizeof(out), "result of a collective");
        return *reinterpret_cast<R*>(out);
    }
};

struct Block {
    uint3 index;
    dim3 grid, size;
};

extern Thread* current;
extern Block block;

enum BarrierKind { PLAIN, ANY, ALL, COUNT };
int barrier(BarrierKind kind, int predicate, int line);
void warpCollective(Collective op, unsigned mask, int line);
void syncWarp(unsigned mask, int line);
void namedBarrier(unsigned id, unsigned count, int line);

int newSharedSite();
void* sharedStatic(int site, size_t size, size_t alignment);
void* sharedDynamic();

// No-ops but in the checked build.
void checkAccess(Thread* thread, const void* p, unsigned bytes, bool isWrite, bool isAtomic);
void checkUnit(const void* p, unsigned bytes, bool isWrite);         // by a copy engine or a tensor core
void atomicSeen();

void copyLater(void* to, const void* from, unsigned bytes);          // cp.async: as late as allowed, at the wait
void awaitCopies(unsigned pendingGroups);
void mbarrierInit(void* bar, unsigned count);
void mbarrierArrive(void* bar, unsigned bytes);
void mbarrierWait(void* bar, unsigned parity, int line);
void tmaLoad2d(void* shared, const void* map, int x, int y, void* bar);
float tensorCoreSum(float c, const float* a, const float* b, int terms);
void fenceMbarrierInit();
void productFence(int line);                                         // wgmma, by 128 neighbouring threads
void productLater(float* d, uint64_t a, uint64_t b, int line);
void productCommit(int line);
void awaitProducts(unsigned pendingGroups, int line);

[[noreturn]] void fail(const char* format, ...);

struct KernelInfo {
    const char* name;
    int maxThreads, arguments;
    const unsigned *sizes, *alignments;
    void (*call)(void** arguments);
    KernelInfo* next;
};
void registerKernel(KernelInfo*);

template <auto F> struct Registered;
template <class... A, void (*F)(A...)> struct Registered<F> {
    static constexpr unsigned sizes[sizeof...(A) + 1] = {unsigned(sizeof(A))..., 0u};
    static constexpr unsigned alignments[sizeof...(A) + 1] = {unsigned(alignof(A))..., 0u};
    template <size_t... I> static void unpack(void** a, std::index_sequence<I...>) { F(*static_cast<std::remove_reference_t<A>*>(a[I])...); }
    static void call(void** a) { unpack(a, std::index_sequence_for<A...>{}); }
    KernelInfo info;
    Registered(const char* name, int maxThreads) : info{name, maxThreads, int(sizeof...(A)), sizes, alignments, &call, nullptr} { registerKernel(&info); }
};

}  // namespace emulation

#define KERNEL(threads, name, parameters)                                                 \
    extern "C" void name parameters;                                                      \
    static emulation::Registered<&name> registered_##name(#name, threads);                \
    extern "C" void name parameters
#define SHARED(type, name, dims)                                                          \
    static const int name##_site = emulation::newSharedSite();                            \
    using name##_type = type dims;                                                        \
    name##_type& name = *static_cast<name##_type*>(emulation::sharedStatic(name##_site, sizeof(name##_type), alignof(name##_type)))
#define DYNAMIC_SHARED(type, name) type* name = static_cast<type*>(emulation::sharedDynamic())
#define HAS_WGMMA 1

#define threadIdx (emulation::current->index)
#define blockIdx (emulation::block.index)
#define blockDim (emulation::block.size)
#define gridDim (emulation::block.grid)
#define warpSize 32
#define AT_LINE int line = __builtin_LINE()

// ---- barriers and fences ----
inline void __syncthreads(AT_LINE) { emulation::barrier(emulation::PLAIN, 0, line); }
inline int __syncthreads_or(int p, AT_LINE) { return emulation::barrier(emulation::ANY, p, line); }
inline int __syncthreads_and(int p, AT_LINE) { return emulation::barrier(emulation::ALL, p, line); }
inline int __syncthreads_count(int p, AT_LINE) { return emulation::barrier(emulation::COUNT, p, line); }
inline void __syncwarp(unsigned mask = 0xffffffffu, AT_LINE) { emulation::syncWarp(mask, line); }
inline void __threadfence() { emulation::current->hasFenced = true; }
inline void __threadfence_system() { __threadfence(); }
inline void __threadfence_block() {}

// ---- warp collectives ----
namespace emulation {

enum Shuffle { INDEX, XOR, UP, DOWN };
template <class T> struct ShuffleArgument {
    T value;
    int by, width;
};
template <class T, Shuffle KIND> void shuffleAll(Thread** lane, unsigned mask) {
    for (int i = 0; i < 32; i++) {
        if (!(mask >> i & 1)) continue;
        auto& a = lane[i]->argument<ShuffleArgument<T>>();
        int first = i & ~(a.width - 1);
        int from = KIND == INDEX ? first + (a.by & (a.width - 1)) : KIND == XOR ? i ^ a.by : KIND == UP ? i - a.by : i + a.by;
        if (from < first || from >= first + a.width) from = i;
        if (!(mask >> from & 1)) fail("shuffle at line %d: lane %d reads lane %d, which is not in mask %08x", lane[i]->line, i, from, mask);
        lane[i]->result<T>() = lane[from]->argument<ShuffleArgument<T>>().value;
    }
}
template <class T, Shuffle KIND> inline T shuffle(unsigned mask, T value, int by, int width, int line) {
    static_assert(std::is_trivially_copyable<T>::value && sizeof(T) <= 8, "what a shuffle moves");
    current->argument<ShuffleArgument<T>>() = {value, by, width};
    warpCollective(&shuffleAll<T, KIND>, mask, line);
    return current->result<T>();
}
inline void ballotAll(Thread** lane, unsigned mask) {
    unsigned bits = 0;
    for (int i = 0; i < 32; i++) if (mask >> i & 1) bits |= unsigned(lane[i]->argument<int>() != 0) << i;
    for (int i = 0; i < 32; i++) if (mask >> i & 1) lane[i]->result<unsigned>() = bits;
}
template <class T> void matchAll(Thread** lane, unsigned mask) {
    for (int i = 0; i < 32; i++) {
        if (!(mask >> i & 1)) continue;
        unsigned bits = 0;
        for (int j = 0; j < 32; j++) if (mask >> j & 1) bits |= unsigned(!memcmp(lane[i]->in, lane[j]->in, sizeof(T))) << j;
        lane[i]->result<unsigned>() = bits;
    }
}

}  // namespace emulation
template <class T> inline T __shfl_sync(unsigned m, T v, int by, int width = 32, AT_LINE) { return emulation::shuffle<T, emulation::INDEX>(m, v, by, width, line); }
template <class T> inline T __shfl_xor_sync(unsigned m, T v, int by, int width = 32, AT_LINE) { return emulation::shuffle<T, emulation::XOR>(m, v, by, width, line); }
template <class T> inline T __shfl_up_sync(unsigned m, T v, unsigned by, int width = 32, AT_LINE) { return emulation::shuffle<T, emulation::UP>(m, v, int(by), width, line); }
template <class T> inline T __shfl_down_sync(unsigned m, T v, unsigned by, int width = 32, AT_LINE) { return emulation::shuffle<T, emulation::DOWN>(m, v, int(by), width, line); }
inline unsigned __ballot_sync(unsigned m, int p, AT_LINE) {
    emulation::current->argument<int>() = p;
    emulation::warpCollective(&emulation::ballotAll, m, line);
    return emulation::current->result<unsigned>();
}
inline int __any_sync(unsigned m, int p, AT_LINE) { return __ballot_sync(m, p, line) != 0; }
inline int __all_sync(unsigned m, int p, AT_LINE) { return __ballot_sync(m, p, line) == m; }
template <class T> inline unsigned __match_any_sync(unsigned m, T v, AT_LINE) {
    emulation::current->argument<T>() = v;
    emulation::warpCollective(&emulation::matchAll<T>, m, line);
    return emulation::current->result<unsigned>();
}

// ---- atomics: one thread of the system runs all fibers, so to read, compute and write is atomic ----
namespace emulation {
template <class T, class F> __attribute__((no_sanitize("thread"), noinline)) T exchange(T* p, F f) {
    checkAccess(current, p, sizeof(T), true, true);
    atomicSeen();
    T old = *p;
    *p = f(old);
    return old;
}
template <class T> struct Same { using type = T; };
}  // namespace emulation
template <class T> using emulation_same = typename emulation::Same<T>::type;
template <class T> inline T atomicAdd(T* p, emulation_same<T> v) { return emulation::exchange(p, [=](T o) { return T(o + v); }); }
template <class T> inline T atomicMax(T* p, emulation_same<T> v) { return emulation::exchange(p, [=](T o) { return o < v ? v : o; }); }
template <class T> inline T atomicExch(T* p, emulation_same<T> v) { return emulation::exchange(p, [=](T) { return v; }); }
template <class T> inline T atomicCAS(T* p, emulation_same<T> compare, emulation_same<T> v) { return emulation::exchange(p, [=](T o) { return o == compare ? v : o; }); }

// ---- maths and bits that g++ lacks ----
inline float rsqrt(float x) { return 1.f / std::sqrt(x); }
inline double rsqrt(double x) { return 1.0 / std::sqrt(x); }
inline double __fma_rn(double a, double b, double c) { return std::fma(a, b, c); }
inline float __uint_as_float(unsigned u) { float f; memcpy(&f, &u, 4); return f; }
inline unsigned __float_as_uint(float f) { unsigned u; memcpy(&u, &f, 4); return u; }
inline double __longlong_as_double(long long u) { double f; memcpy(&f, &u, 8); return f; }
inline long long __double_as_longlong(double f) { long long u; memcpy(&u, &f, 8); return u; }
inline int __popc(unsigned x) { return __builtin_popcount(x); }
inline int __clz(unsigned x) { return x ? __builtin_clz(x) : 32; }
inline int __ffs(int x) { return __builtin_ffs(x); }
template <class T> inline T __ldg(const T* p) { return *p; }
using std::max;
using std::min;
