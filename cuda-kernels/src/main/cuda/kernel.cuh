// One source, two compilers: nvcc makes kernels of it, g++ with GRAFT_EMULATION what the tests run on the CPU. Needs no header of CUDA.
#pragma once

#ifdef GRAFT_EMULATION
#include "kernel.h"
#else
// Of one block at least, which leaves the compiler all registers: it would rather spill some to have more blocks at once.
#define KERNEL(threads, name, parameters) extern "C" __global__ void __launch_bounds__(threads, 1) name parameters
#define SHARED(type, name, dims) __shared__ type name dims
// One alignment per file: it rounds up the static shared memory of every kernel in the file, too.
#ifndef SHARED_ALIGNMENT
#define SHARED_ALIGNMENT 16
#endif
#define DYNAMIC_SHARED(type, name)                                                 \
    extern __shared__ __align__(SHARED_ALIGNMENT) unsigned char dynamic_shared[];  \
    type* name = reinterpret_cast<type*>(dynamic_shared)
#ifndef INFINITY                                                     // of the host's headers, which NVRTC has not
#define INFINITY __int_as_float(0x7f800000)
#endif
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
#define HAS_WGMMA 1
#endif
#endif

#define DEVICE __device__ __forceinline__

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef long long i64;

constexpr u32 ALL_LANES = 0xffffffffu;

#include "ptx.cuh"

// The threads of a launch in one row: of which this one is the number, and how many there are.
DEVICE i64 threadNumber() { return i64(blockIdx.x) * blockDim.x + threadIdx.x; }
DEVICE i64 threadCount() { return i64(gridDim.x) * blockDim.x; }
