package dev.graft.bench.gpu;

import dev.graft.cuda.driver.Driver;
import dev.graft.cuda.driver.JcudaDriver;
import dev.graft.cuda.driver.PanamaDriver;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Level;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/// What it costs the host to launch a kernel that does nothing, by each binding: arguments are written, and the driver called. On the emulated driver, told to do nothing itself, this is the binding alone:
///
/// ```
/// GRAFT_EMULATION_NOTHING=1 ./graft bench LaunchBench -jvmArgsAppend -Dgraft.cuda.driver=$PWD/cuda-kernels/target/emulation/fast/libcuda.so.1
/// ```
@State(Scope.Thread)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
@Fork(5)
@Warmup(iterations = 4, time = 1)
@Measurement(iterations = 3, time = 1)
public class LaunchBench {
    public enum Binding {
        PANAMA, JCUDA
    }

    private static final String NOTHING = """
            .version 7.0
            .target sm_80
            .address_size 64
            .visible .entry does_nothing(.param .u64 x, .param .u64 y) {
                ret;
            }
            """;

    /// Launches between two waits, so that the driver's queue does not fill up.
    private static final int AT_ONCE = 500;

    @Param
    public Binding binding;

    private final MemorySegment arguments = Arena.ofAuto().allocate(16, 16);
    private Driver driver;
    private long function;
    private long stream;
    private int asked;

    @Setup
    public void open() {
        String library = System.getProperty("graft.cuda.driver");
        driver = binding == Binding.JCUDA ? new JcudaDriver(library) : new PanamaDriver(library == null ? "libcuda.so.1" : library);
        driver.setContext(driver.retainContext(0));
        stream = driver.createStream();
        try (Arena arena = Arena.ofConfined()) {
            function = driver.function(driver.loadModule(arena.allocateFrom(NOTHING)), "does_nothing");
        }
    }

    @Benchmark
    public void launch() {
        arguments.set(ValueLayout.JAVA_LONG, 0, asked);
        arguments.set(ValueLayout.JAVA_LONG, 8, stream);
        driver.launch(function, 1, 1, 1, 32, 0, stream, arguments, 16);
        if (++asked % AT_ONCE == 0) driver.synchronize(stream);
    }

    @TearDown(Level.Trial)
    public void await() {
        driver.synchronize(stream);
    }
}
