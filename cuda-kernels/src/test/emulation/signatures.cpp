// What each function of the driver that Graft calls returns and takes, in this order, from CUDA's header itself: J for what has 64 bits, I for 32, B for 8.
#include <cuda.h>
#include <map>
#include <string>

namespace {

template <class T> char letter() { return sizeof(T) == 8 ? 'J' : sizeof(T) == 4 ? 'I' : sizeof(T) == 1 ? 'B' : '?'; }
template <class R, class... A> std::string letters(R (*)(A...)) { return {letter<R>(), letter<A>()...}; }

#define TEXT_OF(x) #x
#define TEXT(x) TEXT_OF(x)
#define F(f) {TEXT(f), letters(static_cast<decltype(&f)>(nullptr))},
const std::map<std::string, std::string> signatures = {
    F(cuInit) F(cuDriverGetVersion) F(cuDeviceGetCount) F(cuDeviceGetName) F(cuDeviceTotalMem) F(cuDeviceGetAttribute) F(cuDevicePrimaryCtxRetain) F(cuCtxSetCurrent) F(cuGetErrorString)
    F(cuMemAlloc) F(cuMemFree) F(cuMemGetInfo) F(cuMemHostAlloc) F(cuMemFreeHost) F(cuMemcpyHtoDAsync) F(cuMemcpyDtoHAsync) F(cuMemcpyDtoDAsync) F(cuMemsetD8Async)
    F(cuModuleLoadData) F(cuModuleUnload) F(cuModuleGetFunction) F(cuFuncSetAttribute) F(cuFuncGetParamInfo) F(cuLaunchKernel)
    F(cuStreamCreate) F(cuStreamSynchronize) F(cuEventCreate) F(cuEventDestroy) F(cuEventRecord) F(cuEventSynchronize) F(cuEventElapsedTime)
    F(cuStreamBeginCapture) F(cuStreamEndCapture) F(cuGraphInstantiateWithFlags) F(cuGraphExecUpdate) F(cuGraphLaunch) F(cuGraphDestroy) F(cuGraphExecDestroy) F(cuTensorMapEncodeTiled)
};

}  // namespace

extern "C" __attribute__((visibility("default"))) const char* emulation_signature(const char* name) {
    auto found = signatures.find(name);
    return found == signatures.end() ? "" : found->second.c_str();
}
