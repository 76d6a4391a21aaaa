package dev.graft.cuda.driver;

import static dev.graft.cuda.driver.NativeLibrary.result;
import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import dev.graft.cuda.driver.NativeLibrary.Call;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/// The driver through `java.lang.foreign`: one handle for each function of `libcuda.so.1`, by the names that the library exports. A call costs some ten nanoseconds.
public final class PanamaDriver implements Driver {
    /// A function as it was bound, for a test to compare with CUDA's header.
    public record Bound(String name, FunctionDescriptor descriptor) {
    }

    private static final List<Bound> BOUND = new ArrayList<>();
    private static final MemoryLayout POINTER = ADDRESS, HANDLE = JAVA_LONG, SIZE = JAVA_LONG, INT = JAVA_INT;     // handles and addresses of the device are numbers of 64 bits
    private static final int NOT_FOUND = CudaException.NOT_FOUND, INVALID_VALUE = 1;

    /// How large the thread's memory for results of calls is.
    private static final int SCRATCH = 512;

    private final NativeLibrary library;
    private final ThreadLocal<MemorySegment> scratch = ThreadLocal.withInitial(() -> Arena.ofAuto().allocate(SCRATCH, 128));
    private final MethodHandle getErrorString, driverGetVersion, deviceGetCount, deviceGetName, deviceTotalMem, deviceGetAttribute,
            primaryCtxRetain, ctxSetCurrent, memAlloc, memFree, memGetInfo,
            memHostAlloc, memFreeHost, memcpyHtoD, memcpyDtoH, memcpyDtoD, memset, moduleLoadData, moduleUnload, moduleGetFunction,
            funcGetParamInfo, funcSetAttribute, launchKernel, streamCreate,
            streamSynchronize, eventCreate, eventRecord, eventSynchronize, eventDestroy, eventElapsedTime, beginCapture, endCapture,
            graphInstantiate, graphExecUpdate, graphLaunch, graphDestroy, graphExecDestroy,
            tensorMapEncodeTiled;

    /// Finds all functions, and starts the driver.
    ///
    /// @param path of the library, or its name where the system looks for libraries
    /// @throws IllegalArgumentException when there is no such library
    /// @throws CudaException when it does not start, as where there is no device
    public PanamaDriver(String path) {
        library = new NativeLibrary(path, "a driver for CUDA 11.4 or newer");
        getErrorString = bind("cuGetErrorString", INT, POINTER);
        driverGetVersion = bind("cuDriverGetVersion", POINTER);
        deviceGetCount = bind("cuDeviceGetCount", POINTER);
        deviceGetName = bind("cuDeviceGetName", POINTER, INT, INT);
        deviceTotalMem = bind("cuDeviceTotalMem_v2", POINTER, INT);
        deviceGetAttribute = bind("cuDeviceGetAttribute", POINTER, INT, INT);
        primaryCtxRetain = bind("cuDevicePrimaryCtxRetain", POINTER, INT);
        ctxSetCurrent = bind("cuCtxSetCurrent", HANDLE);
        memAlloc = bind("cuMemAlloc_v2", POINTER, SIZE);
        memFree = bind("cuMemFree_v2", HANDLE);
        memGetInfo = bind("cuMemGetInfo_v2", POINTER, POINTER);
        memHostAlloc = bind("cuMemHostAlloc", POINTER, SIZE, INT);
        memFreeHost = bind("cuMemFreeHost", POINTER);
        memcpyHtoD = bind("cuMemcpyHtoDAsync_v2", HANDLE, POINTER, SIZE, HANDLE);
        memcpyDtoH = bind("cuMemcpyDtoHAsync_v2", POINTER, HANDLE, SIZE, HANDLE);
        memcpyDtoD = bind("cuMemcpyDtoDAsync_v2", HANDLE, HANDLE, SIZE, HANDLE);
        memset = bind("cuMemsetD8Async", HANDLE, JAVA_BYTE, SIZE, HANDLE);
        moduleLoadData = bind("cuModuleLoadData", POINTER, POINTER);
        moduleUnload = bind("cuModuleUnload", HANDLE);
        moduleGetFunction = bind("cuModuleGetFunction", POINTER, HANDLE, POINTER);
        funcGetParamInfo = !library.has("cuFuncGetParamInfo") ? null : bind("cuFuncGetParamInfo", HANDLE, SIZE, POINTER, POINTER);
        funcSetAttribute = bind("cuFuncSetAttribute", HANDLE, INT, INT);
        launchKernel = bind("cuLaunchKernel", HANDLE, INT, INT, INT, INT, INT, INT, INT, HANDLE, POINTER, POINTER);
        streamCreate = bind("cuStreamCreate", POINTER, INT);
        streamSynchronize = bind("cuStreamSynchronize", HANDLE);
        eventCreate = bind("cuEventCreate", POINTER, INT);
        eventRecord = bind("cuEventRecord", HANDLE, HANDLE);
        eventSynchronize = bind("cuEventSynchronize", HANDLE);
        eventDestroy = bind("cuEventDestroy_v2", HANDLE);
        eventElapsedTime = bind(library.has("cuEventElapsedTime_v2") ? "cuEventElapsedTime_v2" : "cuEventElapsedTime", POINTER,
                HANDLE, HANDLE);
        beginCapture = bind("cuStreamBeginCapture_v2", HANDLE, INT);
        endCapture = bind("cuStreamEndCapture", HANDLE, POINTER);
        graphInstantiate = bind("cuGraphInstantiateWithFlags", POINTER, HANDLE, JAVA_LONG);
        graphExecUpdate = !library.has("cuGraphExecUpdate_v2") ? null
                : bind("cuGraphExecUpdate_v2", HANDLE, HANDLE, POINTER);
        graphLaunch = bind("cuGraphLaunch", HANDLE, HANDLE);
        graphDestroy = bind("cuGraphDestroy", HANDLE);
        graphExecDestroy = bind("cuGraphExecDestroy", HANDLE);
        tensorMapEncodeTiled = !library.has("cuTensorMapEncodeTiled") ? null
                : bind("cuTensorMapEncodeTiled", POINTER, INT, INT, HANDLE, POINTER, POINTER, POINTER, POINTER, INT, INT, INT, INT);
        MethodHandle init = bind("cuInit", INT);
        call("cuInit", () -> (int) init.invokeExact(0));
    }

    private MethodHandle bind(String name, MemoryLayout... arguments) {
        FunctionDescriptor descriptor = FunctionDescriptor.of(JAVA_INT, arguments);
        synchronized (BOUND) {
            if (BOUND.stream().noneMatch(b -> b.name.equals(name))) BOUND.add(new Bound(name, descriptor));
        }
        return library.function(name, descriptor);
    }

    /// What was bound so far.
    public static List<Bound> bound() {
        synchronized (BOUND) {
            return List.copyOf(BOUND);
        }
    }

    private void call(String name, Call call) {
        check(name, result(call));
    }

    private void check(String name, int result) {
        if (result != 0) throw new CudaException(name, result, words(result));
    }

    @SuppressWarnings("restricted") // a text of the driver's own, which ends with a 0
    private String words(int result) {
        MemorySegment to = scratch.get();
        if (result(() -> (int) getErrorString.invokeExact(result, to)) != 0) return "the driver has no words for it";
        return to.get(ADDRESS, 0).reinterpret(4096).getString(0);
    }

    /// Of a call that writes one number of 64 bits.
    private long number(String name, java.util.function.Function<MemorySegment, Call> call) {
        MemorySegment to = scratch.get();
        to.set(JAVA_LONG, 0, 0);
        call(name, call.apply(to));
        return to.get(JAVA_LONG, 0);
    }

    @Override
    public String binding() {
        return "panama";
    }

    @Override
    public int version() {
        return (int) number("cuDriverGetVersion", to -> () -> (int) driverGetVersion.invokeExact(to));
    }

    @Override
    public int devices() {
        return (int) number("cuDeviceGetCount", to -> () -> (int) deviceGetCount.invokeExact(to));
    }

    @Override
    public String name(int device) {
        MemorySegment to = scratch.get();
        call("cuDeviceGetName", () -> (int) deviceGetName.invokeExact(to, 256, device));
        return to.getString(0);
    }

    @Override
    public long totalMemory(int device) {
        return number("cuDeviceTotalMem", to -> () -> (int) deviceTotalMem.invokeExact(to, device));
    }

    @Override
    public int attribute(int attribute, int device) {
        return (int) number("cuDeviceGetAttribute", to -> () -> (int) deviceGetAttribute.invokeExact(to, attribute, device));
    }

    @Override
    public long retainContext(int device) {
        return number("cuDevicePrimaryCtxRetain", to -> () -> (int) primaryCtxRetain.invokeExact(to, device));
    }

    @Override
    public void setContext(long context) {
        call("cuCtxSetCurrent", () -> (int) ctxSetCurrent.invokeExact(context));
    }

    @Override
    public long allocate(long bytes) {
        return number("cuMemAlloc", to -> () -> (int) memAlloc.invokeExact(to, bytes));
    }

    @Override
    public void free(long address) {
        call("cuMemFree", () -> (int) memFree.invokeExact(address));
    }

    @Override
    public long freeMemory() {
        return number("cuMemGetInfo", to -> () -> (int) memGetInfo.invokeExact(to, to.asSlice(8)));
    }

    @Override
    @SuppressWarnings("restricted") // address and size are those of the block just allocated
    public MemorySegment allocateHost(long bytes) {
        int portable = 1;
        return MemorySegment.ofAddress(number("cuMemHostAlloc", to -> () -> (int) memHostAlloc.invokeExact(to, bytes, portable)))
                .reinterpret(bytes);
    }

    @Override
    public void freeHost(MemorySegment memory) {
        call("cuMemFreeHost", () -> (int) memFreeHost.invokeExact(memory));
    }

    @Override
    public void copyToDevice(long to, MemorySegment from, long bytes, long stream) {
        call("cuMemcpyHtoDAsync", () -> (int) memcpyHtoD.invokeExact(to, from, bytes, stream));
    }

    @Override
    public void copyToHost(MemorySegment to, long from, long bytes, long stream) {
        call("cuMemcpyDtoHAsync", () -> (int) memcpyDtoH.invokeExact(to, from, bytes, stream));
    }

    @Override
    public void copyOnDevice(long to, long from, long bytes, long stream) {
        call("cuMemcpyDtoDAsync", () -> (int) memcpyDtoD.invokeExact(to, from, bytes, stream));
    }

    @Override
    public void fill(long address, byte value, long bytes, long stream) {
        call("cuMemsetD8Async", () -> (int) memset.invokeExact(address, value, bytes, stream));
    }

    @Override
    public long loadModule(MemorySegment image) {
        return number("cuModuleLoadData", to -> () -> (int) moduleLoadData.invokeExact(to, image));
    }

    @Override
    public void unloadModule(long module) {
        call("cuModuleUnload", () -> (int) moduleUnload.invokeExact(module));
    }

    @Override
    public long function(long module, String name) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment text = arena.allocateFrom(name), to = scratch.get();
            int result = result(() -> (int) moduleGetFunction.invokeExact(to, module, text));
            if (result == NOT_FOUND) return 0;
            check("cuModuleGetFunction", result);
            return to.get(JAVA_LONG, 0);
        }
    }

    @Override
    public long parameter(long function, int index) {
        if (funcGetParamInfo == null) return -2;
        MemorySegment to = scratch.get();
        int result = result(() -> (int) funcGetParamInfo.invokeExact(function, (long) index, to, to.asSlice(8)));
        if (result == INVALID_VALUE) return -1;
        check("cuFuncGetParamInfo", result);
        return to.get(JAVA_LONG, 0) << 32 | to.get(JAVA_LONG, 8);
    }

    @Override
    public void allowSharedMemory(long function, int bytes) {
        int maxDynamicSharedSize = 8;
        call("cuFuncSetAttribute", () -> (int) funcSetAttribute.invokeExact(function, maxDynamicSharedSize, bytes));
    }

    @Override
    public void launch(long function, int gridX, int gridY, int gridZ, int threads, int sharedBytes, long stream, MemorySegment arguments,
            long argumentBytes) {
        MemorySegment extra = scratch.get();
        LaunchBuffer.write(extra, arguments, argumentBytes);
        int result;
        try {
            result = (int) launchKernel.invokeExact(function, gridX, gridY, gridZ, threads, 1, 1, sharedBytes, stream, MemorySegment.NULL,
                    extra);
        } catch (Throwable t) {
            throw new AssertionError(t);
        }
        if (result != 0) check("cuLaunchKernel", result);
    }

    @Override
    public long createStream() {
        int nonBlocking = 1;
        return number("cuStreamCreate", to -> () -> (int) streamCreate.invokeExact(to, nonBlocking));
    }

    @Override
    public void synchronize(long stream) {
        call("cuStreamSynchronize", () -> (int) streamSynchronize.invokeExact(stream));
    }

    @Override
    public long createEvent() {
        return number("cuEventCreate", to -> () -> (int) eventCreate.invokeExact(to, 0));
    }

    @Override
    public void record(long event, long stream) {
        call("cuEventRecord", () -> (int) eventRecord.invokeExact(event, stream));
    }

    @Override
    public void synchronizeEvent(long event) {
        call("cuEventSynchronize", () -> (int) eventSynchronize.invokeExact(event));
    }

    @Override
    public void destroyEvent(long event) {
        call("cuEventDestroy", () -> (int) eventDestroy.invokeExact(event));
    }

    @Override
    public float elapsed(long from, long to) {
        MemorySegment milliseconds = scratch.get();
        call("cuEventElapsedTime", () -> (int) eventElapsedTime.invokeExact(milliseconds, from, to));
        return milliseconds.get(JAVA_FLOAT, 0);
    }

    @Override
    public void beginCapture(long stream) {
        int relaxed = 2;                                                         // other threads and other streams go on as ever
        call("cuStreamBeginCapture", () -> (int) beginCapture.invokeExact(stream, relaxed));
    }

    @Override
    public long endCapture(long stream) {
        return number("cuStreamEndCapture", to -> () -> (int) endCapture.invokeExact(stream, to));
    }

    @Override
    public void destroyGraph(long graph) {
        call("cuGraphDestroy", () -> (int) graphDestroy.invokeExact(graph));
    }

    @Override
    public long instantiate(long graph) {
        return number("cuGraphInstantiateWithFlags", to -> () -> (int) graphInstantiate.invokeExact(to, graph, 0L));
    }

    @Override
    public boolean update(long executable, long graph) {
        if (graphExecUpdate == null) return false;
        MemorySegment why = scratch.get();
        int result = result(() -> (int) graphExecUpdate.invokeExact(executable, graph, why));
        if (result == CudaException.GRAPH_EXEC_UPDATE_FAILURE) return false;
        check("cuGraphExecUpdate", result);
        return true;
    }

    @Override
    public void launchGraph(long executable, long stream) {
        call("cuGraphLaunch", () -> (int) graphLaunch.invokeExact(executable, stream));
    }

    @Override
    public void destroyExecutable(long executable) {
        call("cuGraphExecDestroy", () -> (int) graphExecDestroy.invokeExact(executable));
    }

    @Override
    public boolean hasTensorMaps() {
        return tensorMapEncodeTiled != null;
    }

    @Override
    public Optional<Blas> blas(String path) {
        if (path != null) return Optional.of(new PanamaBlas(path));
        for (String name : new String[] {"libcublas.so.13", "libcublas.so.12"}) {
            try {
                return Optional.of(new PanamaBlas(name));
            } catch (IllegalArgumentException _) {
                continue;                                                        // not here
            }
        }
        return Optional.empty();
    }

    @Override
    public void encodeTensorMap(MemorySegment to, long address, long rows, long columns, long pitch, int boxRows, int boxColumns) {
        int bfloat16 = 9, noInterleave = 0, swizzle128 = 3, promote128 = 2, zeros = 0;
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment dims = arena.allocateFrom(JAVA_LONG, columns, rows), strides = arena.allocateFrom(JAVA_LONG, pitch),
                    box = arena.allocateFrom(JAVA_INT, boxColumns, boxRows),
                    steps = arena.allocateFrom(JAVA_INT, 1, 1);
            call("cuTensorMapEncodeTiled",
                    () -> (int) tensorMapEncodeTiled.invokeExact(to, bfloat16, 2, address, dims, strides, box, steps, noInterleave,
                            swizzle128, promote128, zeros));
        }
    }
}
