package dev.graft.cuda.driver;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicLong;
import jcuda.NativePointerObject;
import jcuda.Pointer;
import jcuda.driver.CUcontext;
import jcuda.driver.CUdevice;
import jcuda.driver.CUdeviceptr;
import jcuda.driver.CUevent;
import jcuda.driver.CUfunction;
import jcuda.driver.CUgraph;
import jcuda.driver.CUgraphExec;
import jcuda.driver.CUmodule;
import jcuda.driver.CUstream;
import jcuda.driver.JCudaDriver;

/// The driver through [JCuda](https://github.com/jcuda/jcuda-main) 12.6, which has native code of its own. For programs that use JCuda already, and to compare: a launch costs twelve times as much of the host as through
/// `java.lang.foreign`, and there are no tensor maps.
///
/// JCuda's objects are kept under numbers, since [Driver] has numbers.
public final class JcudaDriver implements Driver {
    private static final ThreadLocal<MemorySegment> EXTRA = ThreadLocal.withInitial(() -> Arena.ofAuto().allocate(64, 16));

    private final Map<Long, NativePointerObject> objects = new ConcurrentHashMap<>();
    private final Map<Long, Pointer> hostMemory = new ConcurrentHashMap<>();     // by address
    private final AtomicLong next = new AtomicLong(1);

    /// Starts the driver.
    ///
    /// @param path of the driver's library, to be taken instead of the system's; null for that
    /// @throws IllegalArgumentException when the driver is not there
    /// @throws NoClassDefFoundError when JCuda is not
    /// @throws CudaException when the driver does not start
    @SuppressWarnings("restricted") // the library is the driver, or a stand-in for it that somebody named
    public JcudaDriver(String path) {
        try {
            if (path != null && Path.of(path).isAbsolute()) System.load(path);   // then JCuda finds it loaded, by its name
            JCudaDriver.setExceptionsEnabled(false);
            check("cuInit", JCudaDriver.cuInit(0));
        } catch (UnsatisfiedLinkError e) {
            throw new IllegalArgumentException(e.getMessage(), e);
        }
    }

    private static void check(String call, int result) {
        if (result == 0) return;
        String[] words = new String[1];
        JCudaDriver.cuGetErrorString(result, words);
        throw new CudaException(call, result, words[0] == null ? "the driver has no words for it" : words[0]);
    }

    long keep(NativePointerObject object) {
        long number = next.getAndIncrement();
        objects.put(number, object);
        return number;
    }

    <T> T get(long number, Class<T> type) {
        return type.cast(objects.get(number));
    }

    CUstream stream(long number) {
        return get(number, CUstream.class);
    }

    static CUdeviceptr address(long address) {
        return new CUdeviceptr().withByteOffset(address);
    }

    private static Pointer host(MemorySegment memory) {
        return Pointer.toBuffer(memory.asByteBuffer());
    }

    private static CUdevice device(int number) {
        CUdevice device = new CUdevice();
        check("cuDeviceGet", JCudaDriver.cuDeviceGet(device, number));
        return device;
    }

    @Override
    public String binding() {
        return "jcuda";
    }

    @Override
    public int version() {
        int[] version = new int[1];
        check("cuDriverGetVersion", JCudaDriver.cuDriverGetVersion(version));
        return version[0];
    }

    @Override
    public int devices() {
        int[] count = new int[1];
        check("cuDeviceGetCount", JCudaDriver.cuDeviceGetCount(count));
        return count[0];
    }

    @Override
    public String name(int device) {
        byte[] name = new byte[256];
        check("cuDeviceGetName", JCudaDriver.cuDeviceGetName(name, name.length, device(device)));
        int end = 0;
        while (name[end] != 0) end++;
        return new String(name, 0, end, StandardCharsets.UTF_8);
    }

    @Override
    public long totalMemory(int device) {
        long[] bytes = new long[1];
        check("cuDeviceTotalMem", JCudaDriver.cuDeviceTotalMem(bytes, device(device)));
        return bytes[0];
    }

    @Override
    public int attribute(int attribute, int device) {
        int[] value = new int[1];
        check("cuDeviceGetAttribute", JCudaDriver.cuDeviceGetAttribute(value, attribute, device(device)));
        return value[0];
    }

    @Override
    public long retainContext(int device) {
        CUcontext context = new CUcontext();
        check("cuDevicePrimaryCtxRetain", JCudaDriver.cuDevicePrimaryCtxRetain(context, device(device)));
        return keep(context);
    }

    @Override
    public void setContext(long context) {
        check("cuCtxSetCurrent", JCudaDriver.cuCtxSetCurrent(get(context, CUcontext.class)));
    }

    // ---- memory ----

    /// An address that JCuda lets nobody see but who extends it.
    private static final class Address extends CUdeviceptr {
        long value() {
            return getNativePointer();
        }
    }

    @Override
    public long allocate(long bytes) {
        Address address = new Address();
        check("cuMemAlloc", JCudaDriver.cuMemAlloc(address, bytes));
        return address.value();
    }

    @Override
    public void free(long address) {
        check("cuMemFree", JCudaDriver.cuMemFree(address(address)));
    }

    @Override
    public long freeMemory() {
        long[] free = new long[1], total = new long[1];
        check("cuMemGetInfo", JCudaDriver.cuMemGetInfo(free, total));
        return free[0];
    }

    @Override
    public MemorySegment allocateHost(long bytes) {
        int portable = 1;
        Pointer pointer = new Pointer();
        check("cuMemHostAlloc", JCudaDriver.cuMemHostAlloc(pointer, bytes, portable));
        MemorySegment memory = MemorySegment.ofBuffer(pointer.getByteBuffer(0, bytes));
        hostMemory.put(memory.address(), pointer);
        return memory;
    }

    @Override
    public void freeHost(MemorySegment memory) {
        check("cuMemFreeHost", JCudaDriver.cuMemFreeHost(hostMemory.remove(memory.address())));
    }

    @Override
    public void copyToDevice(long to, MemorySegment from, long bytes, long stream) {
        check("cuMemcpyHtoDAsync", JCudaDriver.cuMemcpyHtoDAsync(address(to), host(from), bytes, stream(stream)));
    }

    @Override
    public void copyToHost(MemorySegment to, long from, long bytes, long stream) {
        check("cuMemcpyDtoHAsync", JCudaDriver.cuMemcpyDtoHAsync(host(to), address(from), bytes, stream(stream)));
    }

    @Override
    public void copyOnDevice(long to, long from, long bytes, long stream) {
        check("cuMemcpyDtoDAsync", JCudaDriver.cuMemcpyDtoDAsync(address(to), address(from), bytes, stream(stream)));
    }

    @Override
    public void fill(long address, byte value, long bytes, long stream) {
        check("cuMemsetD8Async", JCudaDriver.cuMemsetD8Async(address(address), value, bytes, stream(stream)));
    }

    // ---- kernels ----

    @Override
    public long loadModule(MemorySegment image) {
        CUmodule module = new CUmodule();
        check("cuModuleLoadData", JCudaDriver.cuModuleLoadData(module, image.toArray(ValueLayout.JAVA_BYTE)));
        return keep(module);
    }

    @Override
    public void unloadModule(long module) {
        check("cuModuleUnload", JCudaDriver.cuModuleUnload(get(module, CUmodule.class)));
        objects.remove(module);
    }

    @Override
    public long function(long module, String name) {
        CUfunction function = new CUfunction();
        int result = JCudaDriver.cuModuleGetFunction(function, get(module, CUmodule.class), name);
        if (result == CudaException.NOT_FOUND) return 0;
        check("cuModuleGetFunction", result);
        return keep(function);
    }

    /// JCuda does not say.
    @Override
    public long parameter(long function, int index) {
        return -2;
    }

    @Override
    public void allowSharedMemory(long function, int bytes) {
        int maxDynamicSharedSize = 8;
        check("cuFuncSetAttribute", JCudaDriver.cuFuncSetAttribute(get(function, CUfunction.class), maxDynamicSharedSize, bytes));
    }

    @Override
    public void launch(long function, int gridX, int gridY, int gridZ, int threads, int sharedBytes, long stream, MemorySegment arguments,
            long argumentBytes) {
        MemorySegment extra = EXTRA.get();
        LaunchBuffer.write(extra, arguments, argumentBytes);
        check("cuLaunchKernel", JCudaDriver.cuLaunchKernel(get(function, CUfunction.class), gridX, gridY, gridZ, threads, 1, 1, sharedBytes,
                stream(stream), null, host(extra)));
    }

    // ---- streams, events, graphs ----

    @Override
    public long createStream() {
        int nonBlocking = 1;
        CUstream stream = new CUstream();
        check("cuStreamCreate", JCudaDriver.cuStreamCreate(stream, nonBlocking));
        return keep(stream);
    }

    @Override
    public void synchronize(long stream) {
        check("cuStreamSynchronize", JCudaDriver.cuStreamSynchronize(stream(stream)));
    }

    @Override
    public long createEvent() {
        CUevent event = new CUevent();
        check("cuEventCreate", JCudaDriver.cuEventCreate(event, 0));
        return keep(event);
    }

    @Override
    public void record(long event, long stream) {
        check("cuEventRecord", JCudaDriver.cuEventRecord(get(event, CUevent.class), stream(stream)));
    }

    @Override
    public void synchronizeEvent(long event) {
        check("cuEventSynchronize", JCudaDriver.cuEventSynchronize(get(event, CUevent.class)));
    }

    @Override
    public void destroyEvent(long event) {
        check("cuEventDestroy", JCudaDriver.cuEventDestroy(get(event, CUevent.class)));
        objects.remove(event);
    }

    @Override
    public float elapsed(long from, long to) {
        float[] milliseconds = new float[1];
        check("cuEventElapsedTime", JCudaDriver.cuEventElapsedTime(milliseconds, get(from, CUevent.class), get(to, CUevent.class)));
        return milliseconds[0];
    }

    @Override
    public void beginCapture(long stream) {
        int relaxed = 2;
        check("cuStreamBeginCapture", JCudaDriver.cuStreamBeginCapture(stream(stream), relaxed));
    }

    @Override
    public long endCapture(long stream) {
        CUgraph graph = new CUgraph();
        check("cuStreamEndCapture", JCudaDriver.cuStreamEndCapture(stream(stream), graph));
        return keep(graph);
    }

    @Override
    public void destroyGraph(long graph) {
        check("cuGraphDestroy", JCudaDriver.cuGraphDestroy(get(graph, CUgraph.class)));
        objects.remove(graph);
    }

    @Override
    public long instantiate(long graph) {
        CUgraphExec ready = new CUgraphExec();
        check("cuGraphInstantiate", JCudaDriver.cuGraphInstantiate(ready, get(graph, CUgraph.class), 0L));
        return keep(ready);
    }

    /// JCuda 12.6 has the function and does not call CUDA's.
    @Override
    public boolean update(long executable, long graph) {
        return false;
    }

    @Override
    public void launchGraph(long executable, long stream) {
        check("cuGraphLaunch", JCudaDriver.cuGraphLaunch(get(executable, CUgraphExec.class), stream(stream)));
    }

    @Override
    public void destroyExecutable(long executable) {
        check("cuGraphExecDestroy", JCudaDriver.cuGraphExecDestroy(get(executable, CUgraphExec.class)));
        objects.remove(executable);
    }

    @Override
    public boolean hasTensorMaps() {
        return false;
    }

    @Override
    public void encodeTensorMap(MemorySegment to, long address, long rows, long columns, long pitch, int boxRows, int boxColumns) {
        throw new UnsupportedOperationException("JCuda has no cuTensorMapEncodeTiled");
    }

    @Override
    public Optional<Blas> blas(String path) {
        return JcublasBlas.find(this, path);
    }
}
