// Prints what each function of the driver takes, from CUDA's header itself: J for what has 64 bits, I for 32, B for 8.
//
//   g++ -std=c++17 -x c++ -I$CUDA_HOME/include signatures.cxx -o signatures -Wl,--unresolved-symbols=ignore-all && ./signatures > ../resources/dev/graft/cuda/driver-signatures.txt
#include <cuda.h>
#include <cstdio>
#include <string>
template <class T> char letter() { return sizeof(T) == 8 ? 'J' : sizeof(T) == 4 ? 'I' : sizeof(T) == 1 ? 'B' : '?'; }
template <class R, class... A> void print(const char* name, R (*)(A...)) {
    std::string s;
    ((s += letter<A>()), ...);
    printf("%s %s\n", name, s.c_str());
}
#define TEXT_OF(x) #x
#define TEXT(x) TEXT_OF(x)
#define F(f) print(TEXT(f), static_cast<decltype(&f)>(nullptr));
int main() {
    printf("# %d\n", CUDA_VERSION);
    F(cuInit) F(cuDriverGetVersion) F(cuDeviceGetCount) F(cuDeviceGetName) F(cuDeviceTotalMem) F(cuDeviceGetAttribute) F(cuDevicePrimaryCtxRetain) F(cuCtxSetCurrent) F(cuGetErrorString)
    F(cuMemAlloc) F(cuMemFree) F(cuMemGetInfo) F(cuMemHostAlloc) F(cuMemFreeHost) F(cuMemcpyHtoDAsync) F(cuMemcpyDtoHAsync) F(cuMemcpyDtoDAsync) F(cuMemsetD8Async)
    F(cuModuleLoadData) F(cuModuleUnload) F(cuModuleGetFunction) F(cuFuncSetAttribute) F(cuFuncGetParamInfo) F(cuLaunchKernel)
    F(cuStreamCreate) F(cuStreamSynchronize) F(cuEventCreate) F(cuEventDestroy) F(cuEventRecord) F(cuEventSynchronize) F(cuEventElapsedTime)
    F(cuStreamBeginCapture) F(cuStreamEndCapture) F(cuGraphInstantiateWithFlags) F(cuGraphExecUpdate) F(cuGraphLaunch) F(cuGraphDestroy) F(cuGraphExecDestroy) F(cuTensorMapEncodeTiled)
}
