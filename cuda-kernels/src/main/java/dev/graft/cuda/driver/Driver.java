package dev.graft.cuda.driver;

import java.lang.foreign.MemorySegment;
import java.util.Optional;

/// The calls of CUDA's driver that Graft makes, in the names and meanings of the [driver API](https://docs.nvidia.com/cuda/cuda-driver-api/). Contexts, streams, modules, functions, events and addresses on
/// the device are numbers. What fails throws a [CudaException].
///
/// The context is the thread's: [#setContext] before all that needs one.
public interface Driver {
    /// Attributes of a device (`CUdevice_attribute`).
    int MULTIPROCESSORS = 16, CAPABILITY_MAJOR = 75, CAPABILITY_MINOR = 76, SHARED_MEMORY_OPT_IN = 97;

    /// Of whom the calls are: `panama` or `jcuda`.
    String binding();

    /// 13000 for CUDA 13.0: the newest that the driver knows.
    int version();

    int devices();

    String name(int device);

    /// Bytes.
    long totalMemory(int device);

    int attribute(int attribute, int device);

    /// The device's primary context.
    long retainContext(int device);

    void setContext(long context);

    // ---- memory ----

    long allocate(long bytes);

    void free(long address);

    /// Bytes of the device that nobody uses.
    long freeMemory();

    /// Page-locked memory of the host, which the device may read and write at the same address.
    MemorySegment allocateHost(long bytes);

    void freeHost(MemorySegment memory);

    void copyToDevice(long to, MemorySegment from, long bytes, long stream);

    void copyToHost(MemorySegment to, long from, long bytes, long stream);

    void copyOnDevice(long to, long from, long bytes, long stream);

    void fill(long address, byte value, long bytes, long stream);

    // ---- kernels ----

    /// @param image a fatbin, a cubin, or PTX that ends with a 0
    long loadModule(MemorySegment image);

    void unloadModule(long module);

    /// 0 when the module has none of this name.
    long function(long module, String name);

    /// Where a parameter lies among the arguments and how large it is, in bytes: `offset << 32 | size`; -1 beyond the last one, and -2 with a driver that does not say (before CUDA 12.4).
    long parameter(long function, int index);

    /// Lets a function have more than 48 KiB of dynamic shared memory.
    void allowSharedMemory(long function, int bytes);

    /// @param arguments as the kernel has them, each at a multiple of its own alignment
    void launch(long function, int gridX, int gridY, int gridZ, int threads, int sharedBytes, long stream, MemorySegment arguments,
            long argumentBytes);

    // ---- streams, events, graphs ----

    long createStream();

    void synchronize(long stream);

    long createEvent();

    void record(long event, long stream);

    void synchronizeEvent(long event);

    void destroyEvent(long event);

    /// Milliseconds from one recorded event to another.
    float elapsed(long from, long to);

    /// From now on what is asked of the stream is written down, not done.
    void beginCapture(long stream);

    /// What was asked of the stream since [#beginCapture].
    long endCapture(long stream);

    void destroyGraph(long graph);

    /// A graph made ready to be launched.
    long instantiate(long graph);

    /// Puts the numbers of a graph into one that was made ready before; false, and nothing done, when more than these differs, or with a driver before CUDA 12.
    boolean update(long executable, long graph);

    void launchGraph(long executable, long stream);

    void destroyExecutable(long executable);

    // ---- what not every driver or binding has ----

    /// Whether [#encodeTensorMap] can be called: with a driver of CUDA 12 or newer.
    boolean hasTensorMaps();

    /// Writes the description of a matrix `[rows, columns]` of 16-bit numbers for the tensor memory accelerator: 128 bytes.
    ///
    /// @param pitch bytes from row to row
    void encodeTensorMap(MemorySegment to, long address, long rows, long columns, long pitch, int boxRows, int boxColumns);

    /// NVIDIA's cuBLAS by the same binding, where there is one.
    ///
    /// @param path of its library; null for the system's
    /// @throws IllegalArgumentException when a path is given and there is no such library
    Optional<Blas> blas(String path);
}
