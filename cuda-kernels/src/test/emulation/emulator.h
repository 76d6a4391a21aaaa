// What the parts of the emulator know of each other.
#pragma once
#include "kernel.h"
#undef threadIdx
#undef blockIdx
#undef blockDim
#undef gridDim
#undef warpSize
#include <string>

namespace emulation {

// ---- fibers.cpp ----
constexpr int MAX_THREADS = 1024;
void prepareStacks();
char* takeStack();                                  // its upper end
void returnStack(char* top);
void forgetStacks();                                // all are free again: after a launch that failed
bool isOnStack(const void* p);
void* freshFiber(char* stackTop, void (*main)());
extern "C" void emulation_switch(void** save, void* load) __attribute__((visibility("hidden")));

// ---- block.cpp ----
KernelInfo* findKernel(const char* name);
// A CUresult; what went wrong is in report().
int launch(KernelInfo*, dim3 grid, dim3 block, size_t dynamicShared, void** arguments);
std::string& report();
extern Thread threads[MAX_THREADS];
extern unsigned threadCount, barrierEpoch, blockNumber, launchNumber;
extern int failure;                                 // CUresult of the launch that runs
extern const KernelInfo* kernel;
extern bool acquired;                               // this block has seen another's release
extern size_t dynamicBytes;
void toScheduler();
bool otherBlockReleased(unsigned block);

// ---- memory.cpp ----
constexpr size_t SHARED_BYTES = size_t(1) << 20;
constexpr size_t ARENA_BYTES = size_t(16) << 30;
extern char* arena;                                 // [0, SHARED_BYTES): shared memory of the block that runs; the rest: of all devices
void prepareMemory();
void* allocateDevice(int device, size_t bytes);     // filled with 0xFF; null when the device is full
bool freeDevice(void* p);
int deviceOf(const void* p);                        // -1: of none
bool checkRange(const void* p, size_t bytes, bool mustBeWritten, std::string* why);
void markWritten(const void* p, size_t bytes);
void copyWritten(void* to, const void* from, size_t bytes);
size_t liveBytes(int device);
size_t deviceBytes();
void hostRegion(void* p, size_t bytes, bool add);   // pinned: kernels may touch it
bool isHostRegion(const void* p, size_t bytes);
bool findAllocation(const void* p, char** base, size_t* bytes);
void beginShared();
void forEachAllocation(void (*f)(char* base, size_t bytes));

// ---- checker.cpp: empty but in the checked build ----
void shadowFill(const char* p, size_t bytes, unsigned state);
void shadowShared(size_t usedBefore);
bool shadowWritten(const char* p);
void shadowCopy(const char* to, const char* from, size_t bytes);
void newSegment(Thread*);
void newLaunch();
enum Written : unsigned { NOWHERE, NEVER, BY_HOST };

// ---- units.cpp ----
void beginUnits();
bool hasTransfers();
void runTransfer();
void checkProductsAreMade();                        // when a thread exits
extern bool progress, isQuiet;                      // isQuiet: all that may come before the products that are waited for has

}  // namespace emulation
