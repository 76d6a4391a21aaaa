// A stand-in for libcuda.so.1: the part of CUDA's driver API that Graft calls, over the emulator.
//
// GRAFT_EMULATION_STREAMS=lazy   work on a stream is done as late as CUDA allows, at the next synchronisation: one that is missing shows
// GRAFT_EMULATION_DEVICES=N      devices there are (2)
// GRAFT_EMULATION_MEMORY=N       bytes of each
//
// Besides, emulation_fail lets a call fail as a real driver might, emulation_say sets one of these variables, and emulation_clear forgets all that; emulation_count counts.
#include "emulator.h"
#include "tensor_map.h"
#include <chrono>
#include <cstdlib>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>

#define TEXT_OF(x) #x
#define TEXT(x) TEXT_OF(x)
#define EXPORT extern "C" __attribute__((visibility("default")))
// Of a call: its name, what it takes.
#define CALL(name, ...)                    \
    EXPORT CUresult name(__VA_ARGS__) {    \
        const char* self = TEXT(name);     \
        std::lock_guard<std::recursive_mutex> locked(lock); \
        if (CUresult planned = called(self)) return planned;
#define NEEDS_DRIVER \
    if (!isInitialised) return CUDA_ERROR_NOT_INITIALIZED
#define NEEDS_CONTEXT                                     \
    NEEDS_DRIVER;                                         \
    if (!current) return CUDA_ERROR_INVALID_CONTEXT;      \
    if (sticky) return sticky
#define END }

namespace {

using Work = std::function<CUresult()>;
std::recursive_mutex lock;
bool isInitialised, isLazy, doesNothing;
CUresult sticky;

struct Graph {
    std::vector<Work> work;
    std::vector<const void*> kinds;                 // of each: the kernel, or that it is none
};
struct Context {
    int device, holders;
};
struct Stream {
    Context* context;
    std::deque<Work> queue;
    Graph* capture;
};
struct Event {
    double time;
    bool isDone;
    Stream* stream;
};
struct Function {
    emulation::KernelInfo* kernel;
    int maxDynamic;
};

constexpr int MAX_DEVICES = 16;
Context contexts[MAX_DEVICES];
thread_local Context* current;
Stream defaultStreams[MAX_DEVICES];
std::set<Stream*> streams;
std::map<std::string, std::unique_ptr<Function>> functions;
std::map<char*, size_t> pinned;

struct Planned {
    CUresult result;
    int times;
};
std::map<std::string, Planned> planned;
std::map<std::string, long> calls;

CUresult called(const char* name) {
    calls[name]++;
    auto it = planned.find(name);
    if (it == planned.end()) return CUDA_SUCCESS;
    CUresult result = it->second.result;
    if (--it->second.times == 0) planned.erase(it);
    if (result == CUDA_ERROR_ILLEGAL_ADDRESS || result == CUDA_ERROR_LAUNCH_FAILED) sticky = result;
    emulation::report() = std::string("planned failure of ") + name;
    return result;
}

int devices() {
    const char* said = getenv("GRAFT_EMULATION_DEVICES");
    return said ? atoi(said) : 2;
}

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

Stream* streamOf(CUstream s) {
    if (s && s != CU_STREAM_LEGACY && s != CU_STREAM_PER_THREAD) return reinterpret_cast<Stream*>(s);
    Stream* own = &defaultStreams[current->device];
    own->context = current;
    streams.insert(own);
    return own;
}

// A fault stays, as on a device.
CUresult wrong(CUresult r) {
    fprintf(stderr, "[emulated device] %s\n", emulation::report().c_str());
    if (r == CUDA_ERROR_ILLEGAL_ADDRESS || r == CUDA_ERROR_LAUNCH_FAILED) sticky = r;
    return r;
}

CUresult drain(Stream* s) {
    CUresult first = CUDA_SUCCESS;
    while (!s->queue.empty()) {
        Work work = std::move(s->queue.front());
        s->queue.pop_front();
        CUresult r = work();
        if (r && !first) first = r;
    }
    return sticky ? sticky : first;
}

CUresult drainAll() {
    CUresult last = CUDA_SUCCESS;
    for (auto s : streams)
        if (CUresult r = drain(s)) last = r;
    return last;
}

CUresult submit(CUstream handle, Work work, const void* kind = nullptr) {
    Stream* s = streamOf(handle);
    if (s->capture) {
        s->capture->work.push_back(std::move(work));
        s->capture->kinds.push_back(kind);
        return CUDA_SUCCESS;
    }
    if (!isLazy) return work();
    s->queue.push_back(std::move(work));
    return CUDA_SUCCESS;
}

// What may not happen while work is being captured.
bool isCapturing() {
    for (auto s : streams)
        if (s->capture) return true;
    return false;
}

bool isPinned(const void* p, size_t bytes) {
    auto it = pinned.upper_bound(const_cast<char*>(static_cast<const char*>(p)));
    if (it == pinned.begin()) return false;
    --it;
    return static_cast<const char*>(p) + bytes <= it->first + it->second;
}

CUresult copyRange(const void* p, size_t bytes, bool mustBeWritten) {
    std::string why;
    if (emulation::checkRange(p, bytes, mustBeWritten, &why)) return CUDA_SUCCESS;
    emulation::report() = why;
    return wrong(CUDA_ERROR_INVALID_VALUE);
}

CUresult toDevice(CUdeviceptr d, const void* h, size_t bytes) {
    if (CUresult r = copyRange(reinterpret_cast<void*>(d), bytes, false)) return r;
    memcpy(reinterpret_cast<void*>(d), h, bytes);
    emulation::markWritten(reinterpret_cast<void*>(d), bytes);
    return CUDA_SUCCESS;
}

CUresult toHost(void* h, CUdeviceptr d, size_t bytes) {
    if (CUresult r = copyRange(reinterpret_cast<void*>(d), bytes, true)) return r;
    memcpy(h, reinterpret_cast<void*>(d), bytes);
    return CUDA_SUCCESS;
}

CUresult onDevice(CUdeviceptr to, CUdeviceptr from, size_t bytes) {
    if (CUresult r = copyRange(reinterpret_cast<void*>(to), bytes, false)) return r;
    if (CUresult r = copyRange(reinterpret_cast<void*>(from), bytes, false)) return r;
    if (to < from + bytes && from < to + bytes) return CUDA_ERROR_INVALID_VALUE;      // CUDA promises nothing of a copy onto a part of itself
    memcpy(reinterpret_cast<void*>(to), reinterpret_cast<void*>(from), bytes);
    emulation::copyWritten(reinterpret_cast<void*>(to), reinterpret_cast<void*>(from), bytes);
    return CUDA_SUCCESS;
}

CUresult fill(CUdeviceptr d, unsigned char v, size_t bytes) {
    if (CUresult r = copyRange(reinterpret_cast<void*>(d), bytes, false)) return r;
    memset(reinterpret_cast<void*>(d), v, bytes);
    emulation::markWritten(reinterpret_cast<void*>(d), bytes);
    return CUDA_SUCCESS;
}

// Where each argument lies in a buffer of all.
size_t offsetOf(const emulation::KernelInfo* k, int argument) {
    size_t at = 0;
    for (int i = 0; i <= argument; i++) {
        at = (at + k->alignments[i] - 1) / k->alignments[i] * k->alignments[i];
        if (i < argument) at += k->sizes[i];
    }
    return at;
}

}  // namespace

// ---- devices and contexts ----
CALL(cuInit, unsigned)
    isInitialised = true;
    const char* s = getenv("GRAFT_EMULATION_STREAMS");
    isLazy = s && !strcmp(s, "lazy");
    doesNothing = getenv("GRAFT_EMULATION_NOTHING") != nullptr;
    return CUDA_SUCCESS;
END
CALL(cuDriverGetVersion, int* v)
    const char* said = getenv("GRAFT_EMULATION_VERSION");
    *v = said ? atoi(said) : 13000;
    return CUDA_SUCCESS;
END
CALL(cuDeviceGetCount, int* n)
    NEEDS_DRIVER;
    *n = devices();
    return CUDA_SUCCESS;
END
CALL(cuDeviceGet, CUdevice* d, int i)
    NEEDS_DRIVER;
    if (i < 0 || i >= devices()) return CUDA_ERROR_INVALID_DEVICE;
    *d = i;
    return CUDA_SUCCESS;
END
CALL(cuDeviceGetName, char* s, int n, CUdevice d)
    NEEDS_DRIVER;
    snprintf(s, size_t(n), "emulated device %d", d);
    return CUDA_SUCCESS;
END
CALL(cuDeviceTotalMem, size_t* n, CUdevice)
    *n = emulation::deviceBytes();
    return CUDA_SUCCESS;
END
static const char* capability() {
    const char* said = getenv("GRAFT_EMULATION_CAPABILITY");                          // "9.0"
    return said ? said : "8.0";
}
static int sharedMemory() { return (capability()[0] == '9' ? 227 : capability()[2] == '0' ? 163 : 99) << 10; }
CALL(cuDeviceGetAttribute, int* v, CUdevice_attribute a, CUdevice)
    switch (a) {
        case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR: *v = capability()[0] - '0'; break;
        case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR: *v = capability()[2] - '0'; break;
        case CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT: *v = 4; break;
        case CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN: *v = sharedMemory(); break;
        default: *v = 0;
    }
    return CUDA_SUCCESS;
END
CALL(cuDevicePrimaryCtxRetain, CUcontext* c, CUdevice d)
    NEEDS_DRIVER;
    contexts[d].device = d;
    contexts[d].holders++;
    *c = reinterpret_cast<CUcontext>(&contexts[d]);
    return CUDA_SUCCESS;
END
CALL(cuDevicePrimaryCtxRelease, CUdevice d)
    contexts[d].holders--;
    return CUDA_SUCCESS;
END
CALL(cuCtxSetCurrent, CUcontext c)
    current = reinterpret_cast<Context*>(c);
    return CUDA_SUCCESS;
END
CALL(cuCtxSynchronize)
    NEEDS_CONTEXT;
    return drainAll();
END
CALL(cuGetErrorName, CUresult e, const char** s)
    static thread_local char text[40];
    snprintf(text, sizeof text, "CUDA_ERROR_%d", int(e));
    *s = text;
    return CUDA_SUCCESS;
END
CALL(cuGetErrorString, CUresult, const char** s)
    static thread_local std::string text;
    text = emulation::report();
    *s = text.c_str();
    return CUDA_SUCCESS;
END

// ---- memory ----
CALL(cuMemAlloc, CUdeviceptr* p, size_t bytes)
    NEEDS_CONTEXT;
    if (!bytes) return CUDA_ERROR_INVALID_VALUE;
    if (isCapturing()) return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
    void* q = emulation::allocateDevice(current->device, bytes);
    if (!q) return CUDA_ERROR_OUT_OF_MEMORY;
    *p = reinterpret_cast<CUdeviceptr>(q);
    return CUDA_SUCCESS;
END
CALL(cuMemFree, CUdeviceptr p)
    NEEDS_CONTEXT;
    drainAll();
    return emulation::freeDevice(reinterpret_cast<void*>(p)) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
END
CALL(cuMemGetInfo, size_t* free, size_t* total)
    NEEDS_CONTEXT;
    *total = emulation::deviceBytes();
    *free = *total - emulation::liveBytes(current->device);
    return CUDA_SUCCESS;
END
CALL(cuMemHostAlloc, void** p, size_t bytes, unsigned)
    NEEDS_CONTEXT;
    *p = aligned_alloc(4096, (bytes + 4095) / 4096 * 4096);
    memset(*p, 0xFF, bytes);
    pinned[static_cast<char*>(*p)] = bytes;
    emulation::hostRegion(*p, bytes, true);
    return CUDA_SUCCESS;
END
CALL(cuMemFreeHost, void* p)
    NEEDS_CONTEXT;
    drainAll();
    if (!pinned.erase(static_cast<char*>(p))) return CUDA_ERROR_INVALID_VALUE;
    emulation::hostRegion(p, 0, false);
    free(p);
    return CUDA_SUCCESS;
END
CALL(cuMemcpyHtoDAsync, CUdeviceptr d, const void* h, size_t bytes, CUstream s)
    NEEDS_CONTEXT;
    if (isPinned(h, bytes)) return submit(s, [=] { return toDevice(d, h, bytes); });
    auto staged = std::make_shared<std::vector<char>>(static_cast<const char*>(h), static_cast<const char*>(h) + bytes);   // other memory is staged at the call
    return submit(s, [=] { return toDevice(d, staged->data(), bytes); });
END
CALL(cuMemcpyDtoHAsync, void* h, CUdeviceptr d, size_t bytes, CUstream s)
    NEEDS_CONTEXT;
    if (isPinned(h, bytes)) return submit(s, [=] { return toHost(h, d, bytes); });
    if (CUresult r = drain(streamOf(s))) return r;
    return toHost(h, d, bytes);
END
CALL(cuMemcpyDtoDAsync, CUdeviceptr to, CUdeviceptr from, size_t bytes, CUstream s)
    NEEDS_CONTEXT;
    return submit(s, [=] { return onDevice(to, from, bytes); });
END
CALL(cuMemsetD8Async, CUdeviceptr d, unsigned char v, size_t bytes, CUstream s)
    NEEDS_CONTEXT;
    return submit(s, [=] { return fill(d, v, bytes); });
END

// ---- modules and kernels ----
CALL(cuModuleLoadData, CUmodule* m, const void* image)
    NEEDS_CONTEXT;
    const char* b = static_cast<const char*>(image);
    bool isImage = !memcmp(b, "\x50\xed\x55\xba", 4) || !memcmp(b, "\177ELF", 4) || strstr(b, ".version");
    if (!isImage) return CUDA_ERROR_INVALID_IMAGE;
    *m = reinterpret_cast<CUmodule>(new char);
    return CUDA_SUCCESS;
END
CALL(cuModuleUnload, CUmodule m)
    NEEDS_CONTEXT;
    drainAll();
    delete reinterpret_cast<char*>(m);
    return CUDA_SUCCESS;
END
CALL(cuModuleGetFunction, CUfunction* f, CUmodule, const char* name)
    NEEDS_CONTEXT;
    auto& known = functions[name];
    if (!known) {
        auto kernel = emulation::findKernel(name);
        if (!kernel) {
            functions.erase(name);
            return CUDA_ERROR_NOT_FOUND;
        }
        known.reset(new Function{kernel, 48 << 10});
    }
    *f = reinterpret_cast<CUfunction>(known.get());
    return CUDA_SUCCESS;
END
CALL(cuFuncGetAttribute, int* v, CUfunction_attribute a, CUfunction f)
    *v = a == CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK ? reinterpret_cast<Function*>(f)->kernel->maxThreads : 0;
    return CUDA_SUCCESS;
END
CALL(cuFuncSetAttribute, CUfunction f, CUfunction_attribute a, int v)
    if (a != CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES) return CUDA_SUCCESS;
    if (v > sharedMemory()) return CUDA_ERROR_INVALID_VALUE;
    reinterpret_cast<Function*>(f)->maxDynamic = v;
    return CUDA_SUCCESS;
END
CALL(cuFuncGetParamInfo, CUfunction f, size_t i, size_t* offset, size_t* size)
    auto kernel = reinterpret_cast<Function*>(f)->kernel;
    if (i >= size_t(kernel->arguments)) return CUDA_ERROR_INVALID_VALUE;
    *offset = offsetOf(kernel, int(i));
    if (size) *size = kernel->sizes[i];
    return CUDA_SUCCESS;
END
EXPORT CUresult cuLaunchKernel(CUfunction handle, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz, unsigned dynamic, CUstream s, void** parameters, void** extra) {
    if (doesNothing) return CUDA_SUCCESS;
    std::lock_guard<std::recursive_mutex> locked(lock);
    if (CUresult r = called("cuLaunchKernel")) return r;
    NEEDS_CONTEXT;
    Function* f = reinterpret_cast<Function*>(handle);
    auto kernel = f->kernel;
    if (!gx || !gy || !gz || !bx || !by || !bz || gy > 65535 || gz > 65535 || gx > 0x7fffffffu || bx > 1024 || by > 1024 || bz > 64 || bx * by * bz > 1024) return CUDA_ERROR_INVALID_VALUE;
    if (int(bx * by * bz) > kernel->maxThreads) {
        emulation::report() = std::string(kernel->name) + ": the block is larger than the kernel's launch bounds";
        return CUDA_ERROR_INVALID_VALUE;
    }
    if (int(dynamic) > f->maxDynamic) {
        emulation::report() = std::string(kernel->name) + ": more dynamic shared memory than was set for the function";
        return CUDA_ERROR_INVALID_VALUE;
    }
    // Arguments are copied at the call, as the driver does.
    int last = kernel->arguments - 1;
    auto buffer = std::make_shared<std::vector<uint64_t>>(kernel->arguments ? (offsetOf(kernel, last) + kernel->sizes[last]) / 8 + 1 : 1);
    char* bytes = reinterpret_cast<char*>(buffer->data());
    if (parameters) {
        for (int i = 0; i < kernel->arguments; i++) memcpy(bytes + offsetOf(kernel, i), parameters[i], kernel->sizes[i]);
    } else if (extra) {
        for (void** e = extra; *e; e += 2)
            if (*e == CU_LAUNCH_PARAM_BUFFER_POINTER) memcpy(bytes, e[1], offsetOf(kernel, last) + kernel->sizes[last]);
    } else if (kernel->arguments) {
        return CUDA_ERROR_INVALID_VALUE;
    }
    calls[kernel->name]++;
    return submit(s, [=] {
        std::vector<void*> arguments;
        for (int i = 0; i < kernel->arguments; i++) arguments.push_back(reinterpret_cast<char*>(buffer->data()) + offsetOf(kernel, i));
        int r = emulation::launch(kernel, dim3(gx, gy, gz), dim3(bx, by, bz), dynamic, arguments.data());
        return r ? wrong(CUresult(r)) : CUDA_SUCCESS;
    }, kernel);
}

// ---- streams, events, graphs ----
CALL(cuStreamCreate, CUstream* s, unsigned)
    NEEDS_CONTEXT;
    auto made = new Stream{current, {}, nullptr};
    streams.insert(made);
    *s = reinterpret_cast<CUstream>(made);
    return CUDA_SUCCESS;
END
CALL(cuStreamDestroy, CUstream s)
    NEEDS_CONTEXT;
    drain(streamOf(s));
    streams.erase(reinterpret_cast<Stream*>(s));
    delete reinterpret_cast<Stream*>(s);
    return CUDA_SUCCESS;
END
CALL(cuStreamSynchronize, CUstream s)
    NEEDS_CONTEXT;
    if (streamOf(s)->capture) return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
    return drain(streamOf(s));
END
CALL(cuStreamWaitEvent, CUstream s, CUevent e, unsigned)
    NEEDS_CONTEXT;
    auto event = reinterpret_cast<Event*>(e);
    return submit(s, [=] { return event->stream && !event->isDone ? drain(event->stream) : CUDA_SUCCESS; });
END
CALL(cuEventCreate, CUevent* e, unsigned)
    NEEDS_CONTEXT;
    *e = reinterpret_cast<CUevent>(new Event{0, true, nullptr});
    return CUDA_SUCCESS;
END
CALL(cuEventDestroy, CUevent e)
    NEEDS_CONTEXT;
    drainAll();
    delete reinterpret_cast<Event*>(e);
    return CUDA_SUCCESS;
END
CALL(cuEventRecord, CUevent e, CUstream s)
    NEEDS_CONTEXT;
    auto event = reinterpret_cast<Event*>(e);
    event->stream = streamOf(s);
    event->isDone = false;
    return submit(s, [=] {
        event->time = now();
        event->isDone = true;
        return CUDA_SUCCESS;
    });
END
CALL(cuEventSynchronize, CUevent e)
    NEEDS_CONTEXT;
    auto event = reinterpret_cast<Event*>(e);
    if (event->stream && event->stream->capture) return CUDA_ERROR_CAPTURED_EVENT;
    return event->isDone ? CUDA_SUCCESS : drain(event->stream);
END
CALL(cuEventElapsedTime, float* ms, CUevent a, CUevent b)
    NEEDS_CONTEXT;
    if (!reinterpret_cast<Event*>(b)->isDone) return CUDA_ERROR_NOT_READY;
    *ms = float((reinterpret_cast<Event*>(b)->time - reinterpret_cast<Event*>(a)->time) * 1e3);
    return CUDA_SUCCESS;
END
#undef cuEventElapsedTime
EXPORT CUresult cuEventElapsedTime(float* ms, CUevent a, CUevent b) { return cuEventElapsedTime_v2(ms, a, b); }     // as drivers before CUDA 13 call it
CALL(cuStreamBeginCapture, CUstream s, CUstreamCaptureMode)
    NEEDS_CONTEXT;
    drain(streamOf(s));
    streamOf(s)->capture = new Graph;
    return CUDA_SUCCESS;
END
CALL(cuStreamEndCapture, CUstream s, CUgraph* g)
    NEEDS_CONTEXT;
    *g = reinterpret_cast<CUgraph>(streamOf(s)->capture);
    streamOf(s)->capture = nullptr;
    return *g ? CUDA_SUCCESS : CUDA_ERROR_ILLEGAL_STATE;
END
CALL(cuGraphInstantiateWithFlags, CUgraphExec* e, CUgraph g, unsigned long long)
    NEEDS_CONTEXT;
    *e = reinterpret_cast<CUgraphExec>(new Graph(*reinterpret_cast<Graph*>(g)));
    return CUDA_SUCCESS;
END
CALL(cuGraphExecUpdate, CUgraphExec e, CUgraph g, CUgraphExecUpdateResultInfo* info)
    NEEDS_CONTEXT;
    auto to = reinterpret_cast<Graph*>(e), from = reinterpret_cast<Graph*>(g);
    memset(info, 0, sizeof *info);
    if (to->kinds != from->kinds) {
        info->result = CU_GRAPH_EXEC_UPDATE_ERROR_TOPOLOGY_CHANGED;
        return CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE;
    }
    to->work = from->work;
    return CUDA_SUCCESS;
END
CALL(cuGraphLaunch, CUgraphExec e, CUstream s)
    NEEDS_CONTEXT;
    for (auto& work : reinterpret_cast<Graph*>(e)->work)
        if (CUresult r = submit(s, work)) return r;
    return CUDA_SUCCESS;
END
CALL(cuGraphDestroy, CUgraph g)
    delete reinterpret_cast<Graph*>(g);
    return CUDA_SUCCESS;
END
CALL(cuGraphExecDestroy, CUgraphExec g)
    delete reinterpret_cast<Graph*>(g);
    return CUDA_SUCCESS;
END
CALL(cuTensorMapEncodeTiled, CUtensorMap* to, CUtensorMapDataType type, cuuint32_t rank, void* address, const cuuint64_t* dims, const cuuint64_t* strides, const cuuint32_t* box,
    const cuuint32_t* steps, CUtensorMapInterleave, CUtensorMapSwizzle swizzle, CUtensorMapL2promotion, CUtensorMapFloatOOBfill)
    static_assert(sizeof(CUtensorMap) == 128, "");
    unsigned element = type == CU_TENSOR_MAP_DATA_TYPE_BFLOAT16 || type == CU_TENSOR_MAP_DATA_TYPE_FLOAT16 ? 2 : 4;
    if (rank != 2 || uintptr_t(address) & 15 || strides[0] & 15 || box[0] > 256 || box[1] > 256 || steps[0] != 1 || steps[1] != 1) return CUDA_ERROR_INVALID_VALUE;
    if (swizzle == CU_TENSOR_MAP_SWIZZLE_128B && box[0] * element > 128) return CUDA_ERROR_INVALID_VALUE;
    emulation::TensorMap m = {emulation::TensorMap::MAGIC, element, static_cast<char*>(address), {dims[0], dims[1]}, strides[0], {box[0], box[1]}, unsigned(swizzle)};
    memset(to, 0, sizeof *to);
    memcpy(to, &m, sizeof m);
    return CUDA_SUCCESS;
END

// ---- of the emulator alone ----
// The next calls of this name fail with this CUresult, so many times.
EXPORT void emulation_fail(const char* call, int result, int times) { planned[call] = {CUresult(result), times}; }
// How often a call of the driver was made so far, or a kernel launched.
EXPORT long emulation_count(const char* name) {
    std::lock_guard<std::recursive_mutex> locked(lock);
    auto it = calls.find(name);
    return it == calls.end() ? 0 : it->second;
}
std::map<std::string, std::string> said;            // what the environment had before
EXPORT void emulation_say(const char* variable, const char* value) {
    const char* before = getenv(variable);
    said.insert({variable, before ? before : ""});
    setenv(variable, value, 1);
}
EXPORT void emulation_clear() {
    for (auto& [variable, before] : said) before.empty() ? unsetenv(variable.c_str()) : setenv(variable.c_str(), before.c_str(), 1);
    said.clear();
    for (auto s : streams) s->queue.clear();
    sticky = CUDA_SUCCESS;
    planned.clear();
    emulation::report().clear();
}
// For stand-ins of other libraries: `f` runs in the order of the stream, and owns its argument.
EXPORT int emulation_submit(CUstream s, int (*f)(void*), void* argument) {
    std::lock_guard<std::recursive_mutex> locked(lock);
    NEEDS_CONTEXT;
    return submit(s, [=] { return CUresult(f(argument)); });
}
EXPORT int emulation_range(CUdeviceptr p, size_t bytes, int isWritten) {
    if (copyRange(reinterpret_cast<void*>(p), bytes, !isWritten)) return 0;
    if (isWritten) emulation::markWritten(reinterpret_cast<void*>(p), bytes);
    return 1;
}
