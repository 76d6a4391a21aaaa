package dev.graft.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.graft.cuda.driver.CudaException;
import dev.graft.cuda.driver.PanamaDriver;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/// What the checked build of the emulator is for: each kind of bug in a kernel is found and told (planted.cu).
class PlantedBugsTest {
    private PanamaDriver driver;
    private long stream;
    private long module;
    private long x;
    private long y;

    @BeforeEach
    void open() {
        assumeTrue(System.getProperty("graft.cuda.driver", "").contains("checked") && Emulator.isThere(),
                "needs the checked build of the emulator");
        driver = new PanamaDriver(System.getProperty("graft.cuda.driver"));
        driver.setContext(driver.retainContext(0));
        stream = driver.createStream();
        try (Arena arena = Arena.ofConfined()) {
            module = driver.loadModule(arena.allocateFrom("// .version 7.0"));
            MemorySegment values = arena.allocate(256);
            for (int i = 0; i < 64; i++) values.setAtIndex(ValueLayout.JAVA_FLOAT, i, i);
            x = driver.allocate(256);
            y = driver.allocate(256);
            driver.copyToDevice(x, values, 256, stream);
            driver.fill(y, (byte) 0, 256, stream);
        }
    }

    @AfterEach
    void clear() {
        if (driver != null) Emulator.open().clear();
    }

    static Stream<Arguments> bugs() {
        return Stream.of(Arguments.of("missing_barrier", 64, 1, "uninitialised read|race"),
                Arguments.of("missing_barrier_at_loop_end", 64, 1, "race \\((write after read|read after write)\\)"),
                Arguments.of("global_overrun", 64, 2,
                        "out of bounds \\(global\\): write of 4 bytes at byte 256 of a device allocation of 256 bytes"),
                Arguments.of("shared_overrun", 64, 1, "out of bounds"),
                Arguments.of("uninitialised_shared", 64, 1, "uninitialised read"),
                Arguments.of("divergent_barrier", 64, 1, "different __syncthreads"),
                Arguments.of("exited_lane", 32, 1, "exits while lanes|has exited"),
                Arguments.of("misaligned", 32, 1, "misaligned"), Arguments.of("race_of_blocks", 32, 2, "race \\(write after write\\)"),
                Arguments.of("copy_without_wait", 32, 1, "uninitialised read"),
                Arguments.of("warp_without_sync", 32, 1, "race|uninitialised read"),
                Arguments.of("array_overrun", 32, 1, "array index out of bounds"));
    }

    @ParameterizedTest
    @MethodSource("bugs")
    void isFound(String bug, int threads, int blocks, String told) {
        assertThatThrownBy(() -> launch(bug, threads, blocks, x)).isInstanceOf(CudaException.class).message().containsPattern(told)
                .contains("planted_" + bug);
    }

    @Test
    void readingWhatNothingWroteIsFound() {
        long fresh = driver.allocate(256);
        assertThatThrownBy(() -> launch("uninitialised_global", 64, 1, fresh)).hasMessageContaining("uninitialised read");
    }

    @Test
    void useAfterFreeIsFound() {
        driver.free(x);
        assertThatThrownBy(() -> launch("uninitialised_global", 64, 1, x)).hasMessageContaining("out of bounds (global)");
    }

    @Test
    void anAddressOfTheHostIsFound() {
        try (Arena arena = Arena.ofConfined()) {
            long host = arena.allocate(256).address();
            assertThatThrownBy(() -> launch("uninitialised_global", 64, 1, host)).hasMessageContaining("illegal address");
        }
    }

    /// Of asynchronous copies into shared memory, barriers there, and products of four warps.
    static Stream<Arguments> bugsOfTiles() {
        return Stream.of(Arguments.of("without_wait", "under way still reads"),
                Arguments.of("without_arrive", "deadlock: thread 0 waits for a barrier in memory"),
                Arguments.of("without_bytes", "under way still reads"),
                Arguments.of("without_fence_of_barriers", "no fence.mbarrier_init"),
                Arguments.of("misaligned", "not aligned as its swizzle asks"), Arguments.of("without_fence", "no wgmma.fence"),
                Arguments.of("without_product_wait", "wait_group is missing"),
                Arguments.of("arriving_too_early", "TMA: overwrites shared memory that a product under way still reads"),
                Arguments.of("not_swizzled", "swizzled in 128 bytes"));
    }

    @ParameterizedTest
    @MethodSource("bugsOfTiles")
    void isFoundInTiles(String bug, String told) {
        assertThatThrownBy(() -> launchTile(bug)).isInstanceOf(CudaException.class).message().containsPattern(told)
                .contains("planted_tile_" + bug);
    }

    @Test
    void aTileWithoutABugIsMultiplied() {
        launchTile("right");
        float[] sums = read(y);                                                  // of thread t: the first column, row t / 4 and 16 more for each warp
        for (int t = 0; t < 64; t++) {
            int row = t / 32 * 16 + t % 32 / 4, column = t % 4 * 2;
            float expected = 0;
            for (int k = 0; k < 16; k++) expected += 2 * at(row, k) * at(column, k);
            assertThat(sums[t]).as("thread " + t).isEqualTo(expected);
        }
    }

    /// Work on a stream is done as late as CUDA allows: who reads too early sees what was there before.
    @Test
    void aMissingSynchronisationIsFound() {
        Emulator.open().say("GRAFT_EMULATION_STREAMS", "lazy");
        new PanamaDriver(System.getProperty("graft.cuda.driver"));               // to be initialised is when the driver heeds that
        MemorySegment read = driver.allocateHost(256);
        try {
            read.fill((byte) 0);
            driver.copyToHost(read, x, 256, stream);
            assertThat(read.getAtIndex(ValueLayout.JAVA_FLOAT, 5)).isZero();
            driver.synchronize(stream);
            assertThat(read.getAtIndex(ValueLayout.JAVA_FLOAT, 5)).isEqualTo(5);
        } finally {
            driver.freeHost(read);
            Emulator.open().clear();
            new PanamaDriver(System.getProperty("graft.cuda.driver"));
        }
    }

    private float[] read(long from) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment values = arena.allocate(256);
            driver.copyToHost(values, from, 256, stream);
            driver.synchronize(stream);
            return values.toArray(ValueLayout.JAVA_FLOAT);
        }
    }

    /// A number of the tile: small and whole, so that sums of products are exact.
    private static int at(int row, int k) {
        return (row * 7 + k * 3) % 11 - 5;
    }

    private void launchTile(String bug) {
        int bytes = 128 * 64 * 2;
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment numbers = arena.allocate(bytes);
            for (int i = 0; i < bytes / 2; i++)
                numbers.setAtIndex(ValueLayout.JAVA_SHORT, i, (short) (Float.floatToRawIntBits(at(i / 64, i % 64)) >>> 16));      // in bf16
            long tile = driver.allocate(bytes);
            driver.copyToDevice(tile, numbers, bytes, stream);
            MemorySegment arguments = arena.allocate(136, 64);
            driver.encodeTensorMap(arguments, tile, 128, 64, 128, 128, 64);
            arguments.set(ValueLayout.JAVA_LONG, 128, y);
            driver.launch(driver.function(module, "planted_tile_" + bug), 1, 1, 1, 160, bytes, stream, arguments, 136);
            driver.synchronize(stream);
        }
    }

    private void launch(String bug, int threads, int blocks, long from) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment arguments = arena.allocate(16, 16);
            arguments.set(ValueLayout.JAVA_LONG, 0, from);
            arguments.set(ValueLayout.JAVA_LONG, 8, y);
            driver.launch(driver.function(module, "planted_" + bug), blocks, 1, 1, threads, 0, stream, arguments, 16);
            driver.synchronize(stream);
        }
    }
}
