package dev.graft.cuda;

import dev.graft.cuda.driver.Blas;
import dev.graft.cuda.driver.CudaException;
import dev.graft.cuda.driver.Driver;
import dev.graft.tensor.TensorException;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import java.util.function.Supplier;

/// One GPU: its context, the one stream that all its work goes through, its memory, its kernels.
///
/// Nothing of the device is touched before the first tensor. The context belongs to a thread, so what goes to the driver says first which one it means.
final class Device {
    private static final ThreadLocal<Device> CURRENT = new ThreadLocal<>();
    private static final long NONE = -1;

    private final Driver driver;
    private final Supplier<KernelFiles> files;
    private final int number;
    private final String name;
    private final int capability;
    private final int multiprocessors;
    private final long totalMemory;
    private final int sharedMemory;
    private final boolean graphs = Boolean.getBoolean("graft.cuda.graphs");
    private final DevicePool pool = new DevicePool(this);
    private final Chain chain = new Chain(this);
    private final Map<String, DeviceStorage> constants = new HashMap<>();
    private volatile long[] functions = {};                                      // by the number of a kernel; 0: not yet looked up
    private final Object opening = new Object();
    private volatile boolean isOpen;
    private long context;
    private long stream;
    private Recording recording;
    private Staging staging;
    private Fault fault;
    private KernelImage image;
    private Optional<Blas> blas;
    private long blasHandle;
    private volatile RuntimeException lost;

    Device(Driver driver, int number) {
        this(driver, number, KernelFiles::packed);
    }

    /// @param files the kernels
    Device(Driver driver, int number, Supplier<KernelFiles> files) {
        this.driver = driver;
        this.files = files;
        this.number = number;
        name = driver.name(number);
        capability = 10 * driver.attribute(Driver.CAPABILITY_MAJOR, number) + driver.attribute(Driver.CAPABILITY_MINOR, number);
        multiprocessors = driver.attribute(Driver.MULTIPROCESSORS, number);
        totalMemory = driver.totalMemory(number);
        sharedMemory = driver.attribute(Driver.SHARED_MEMORY_OPT_IN, number);
    }

    String name() {
        return name;
    }

    /// 90 for compute capability 9.0.
    int capability() {
        return capability;
    }

    int multiprocessors() {
        return multiprocessors;
    }

    /// Most bytes of shared memory that a block may have.
    int sharedMemory() {
        return sharedMemory;
    }

    long totalMemory() {
        return totalMemory;
    }

    DevicePool pool() {
        return pool;
    }

    Driver driver() {
        return driver;
    }

    /// Where ops that go element by element wait.
    Chain chain() {
        if (lost != null) throw lost;
        return chain;
    }

    /// Does what waits, before anything else that may need it or be needed by it.
    void settle() {
        chain.run();
    }

    @Override
    public String toString() {
        return "cuda:" + number;
    }

    /// Makes this the device that the thread's calls go to.
    private void use() {
        if (lost != null) throw lost;
        if (!isOpen) open();
        if (CURRENT.get() == this && !Thread.currentThread().isVirtual()) return;        // a virtual thread may be carried by another one than before
        driver.setContext(context);
        CURRENT.set(this);
    }

    private void open() {
        synchronized (opening) {                                                 // whoever waits here may hold the pool
            if (isOpen) return;
            context = driver.retainContext(number);
            driver.setContext(context);
            CURRENT.set(this);
            stream = driver.createStream();
            recording = new Recording(driver, stream);
            staging = new Staging(driver, stream, recording);
            fault = new Fault(driver.allocateHost(Fault.BYTES));
            image = new KernelImage(this, files.get());
            isOpen = true;
        }
    }

    private interface Call {
        void run();
    }

    /// Any call of the driver. One after which the device is of no use in this process is remembered, and said again by each that follows.
    private void call(Call call) {
        guard(() -> inTurn(recording::flush, call));
    }

    /// One that may be part of a graph.
    private void work(Call call) {
        guard(() -> inTurn(recording::beforeWork, call));
    }

    /// Where there are graphs, another thread must not begin one between the two.
    private void inTurn(Call first, Call then) {
        if (!graphs) {
            then.run();
            return;
        }
        synchronized (recording) {
            use();                                                               // who waited here may be carried by another thread
            first.run();
            then.run();
        }
    }

    private void guard(Call call) {
        use();
        try {
            runWithRoom(call);
        } catch (CudaException e) {
            throw e.isFatal() ? failed(e) : e;
        } catch (Recording.WorkLost e) {
            throw failed(e);
        }
    }

    /// The driver takes memory for itself, too, for modules, cuBLAS and graphs: what the pool has in reserve must not keep it from that.
    private void runWithRoom(Call call) {
        long before = pool.trims();
        try {
            call.run();
        } catch (CudaException e) {
            if (e.code() != CudaException.OUT_OF_MEMORY || !pool.trim() && pool.trims() == before) throw e;      // which another thread may have done
            call.run();
        }
    }

    /// Runs what is asked of the device in it as few graphs, one or more ([Recording]); launch by launch where these are off.
    ///
    /// @param name of this work, which has much the same shape each time
    void together(String name, Runnable work) {
        if (graphs) {
            use();
            settle();
        }
        if (!graphs || !recording.begin(name)) {
            work.run();
            return;
        }
        try {
            work.run();
            settle();
        } finally {
            guard(() -> inTurn(recording::end, () -> {}));
        }
    }

    /// How many graphs there were.
    long graphs() {
        return isOpen ? recording.launched() : 0;
    }

    private RuntimeException failed(RuntimeException e) {
        lost = new TensorException(this + " (" + name + ") can't be used any more in this process: " + e.getMessage()
                + ". Its tensors are lost; start again, from the last checkpoint if there is one");
        lost.initCause(e);
        return lost;
    }

    // ---- memory ----

    long reserve(long bytes) {
        long[] address = new long[1];
        call(() -> address[0] = driver.allocate(bytes));
        return address[0];
    }

    void release(long address) {
        call(() -> driver.free(address));
    }

    long freeMemory() {
        long[] bytes = new long[1];
        call(() -> bytes[0] = driver.freeMemory());
        return bytes[0];
    }

    /// Fills memory that nobody has yet.
    void poison(long address, long bytes) {
        work(() -> driver.fill(address, (byte) 0xFF, bytes, stream));
    }

    void zero(long address, long bytes) {
        settle();
        work(() -> driver.fill(address, (byte) 0, bytes, stream));
    }

    /// @throws IllegalArgumentException if the two overlap, of which CUDA promises nothing
    void copy(long to, long from, long bytes) {
        if (to == from) return;
        if (Math.abs(to - from) < bytes) throw new IllegalArgumentException("a copy on a device onto a part of itself");
        settle();
        work(() -> driver.copyOnDevice(to, from, bytes, stream));
    }

    void toDevice(MemorySegment from, long to) {
        settle();
        upload(from, to);
    }

    private void upload(MemorySegment from, long to) {
        if (from.byteSize() == 0) return;
        work(() -> {
            synchronized (staging) {
                use();                                                           // as inTurn
                staging.toDevice(from, to);
            }
        });
    }

    /// Waits for what was asked before.
    void toHost(long from, MemorySegment to) {
        settle();
        call(() -> {
            synchronized (staging) {
                use();
                staging.toHost(from, to);
            }
        });
        fault.check();
    }

    void await() {
        if (!isOpen) return;
        settle();
        awaitQuietly();
        fault.check();
    }

    /// Without a word about what kernels found wrong.
    void awaitQuietly() {
        call(() -> driver.synchronize(stream));
    }

    /// Numbers that kernels read, copied to the device once.
    synchronized long constant(String name, Supplier<MemorySegment> values) {
        use();
        DeviceStorage held = constants.get(name);
        if (held == null) {
            MemorySegment host = values.get();
            held = pool.allocate(host.byteSize(), name);
            upload(host, held.address());
            constants.put(name, held);
        }
        return held.address();
    }

    // ---- kernels ----

    long faultAddress() {
        use();
        return fault.address();
    }

    void launch(CudaKernel kernel, int gridX, int gridY, int gridZ, int threads, int sharedBytes, MemorySegment arguments,
            long argumentBytes) {
        long function = function(kernel);
        if (function == NONE) throw image.missing(kernel.name());
        work(() -> driver.launch(function, gridX, gridY, gridZ, threads, sharedBytes, stream, arguments, argumentBytes));
    }

    /// Whether a kernel was compiled for this chip.
    boolean has(CudaKernel kernel) {
        return function(kernel) != NONE;
    }

    /// [Driver#encodeTensorMap], which wants a context.
    void encodeTensorMap(MemorySegment to, long address, long rows, long columns, long pitch, int boxRows, int boxColumns) {
        guard(() -> driver.encodeTensorMap(to, address, rows, columns, pitch, boxRows, boxColumns));
    }

    /// NVIDIA's cuBLAS, if it is there and not refused: the system property `graft.cuda.cublas` names its library, or says `none`.
    synchronized Optional<Blas> blas() {
        if (blas == null) {
            String wish = System.getProperty("graft.cuda.cublas", "");
            blas = wish.equals("none") ? Optional.empty() : driver.blas(wish.isEmpty() ? null : wish);
        }
        return blas;
    }

    /// [Blas#gemm], in the order of all work.
    void gemm(Blas blas, int m, int n, int k, long a, int pitchA, long strideA, long b, int pitchB, long strideB, float alpha, float beta,
            long c, int batch) {
        settle();
        long handle = blasHandle(blas);
        work(() -> blas.gemm(handle, m, n, k, a, pitchA, strideA, b, pitchB, strideB, alpha, beta, c, batch));
    }

    private synchronized long blasHandle(Blas blas) {
        if (blasHandle == 0) {
            DeviceStorage workspace = pool.allocate(Blas.WORKSPACE, "cublas");
            try {
                call(() -> blasHandle = blas.open(stream, workspace.address()));
            } finally {
                if (blasHandle == 0) workspace.release();
            }
        }
        return blasHandle;
    }

    private long function(CudaKernel kernel) {
        long[] known = functions;
        int number = kernel.number();
        return number < known.length && known[number] != 0 ? known[number] : look(kernel);
    }

    private synchronized long look(CudaKernel kernel) {
        long[] known = Arrays.copyOf(functions, Math.max(functions.length, kernel.number() + 1));
        call(() -> {
            long function = image.function(kernel.name());
            known[kernel.number()] = function == 0 ? NONE : function;
            if (function == 0) return;
            kernel.check(driver, function);
            if (kernel.sharedBytes() > 48 << 10) driver.allowSharedMemory(function, kernel.sharedBytes());
        });
        functions = known;
        return known[kernel.number()];
    }
}
