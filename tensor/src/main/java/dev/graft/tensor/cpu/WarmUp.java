package dev.graft.tensor.cpu;

import java.util.concurrent.locks.LockSupport;

/// Brings a vector kernel to compiled code before it meets real sizes.
///
/// Uncompiled, the Vector API makes an object of every vector: a thousand times slower. Left to itself the JIT would compile a kernel in
/// the middle of its first long loop (on-stack replacement), and in such code vectors that live across iterations stay objects: 1 GFLOP/s
/// instead of 150, on some launches for the life of the JVM. Called often with a short loop first, the method is compiled from its start.
/// Kernels whose loops carry no vector need none of this.
final class WarmUp {
    private static final int BATCH = 64;
    private static final int CALLS_TO_QUEUE = 6_400; // by then the method waits for the JIT, whatever its tiers
    private static final long COMPILED_NANOS = 2_000; // a call on a few elements: some 50 ns compiled, 20 µs and more before
    private static final long PATIENCE_NANOS = 3_000_000_000L;

    private static volatile boolean outOfPatience;

    private WarmUp() {}

    /// Calls until the calls are fast. A JVM that does not compile in three seconds (it may lack its second compiler) is not asked again.
    static void untilCompiled(Runnable kernel) {
        long begin = System.nanoTime();
        int fast = 0;
        for (int calls = 0; fast < 4 && !outOfPatience; calls += BATCH) {
            long start = System.nanoTime();
            for (int i = 0; i < BATCH; i++) {
                kernel.run();
            }
            long now = System.nanoTime();
            fast = now - start < BATCH * COMPILED_NANOS ? fast + 1 : 0;
            outOfPatience = now - begin > PATIENCE_NANOS;
            if (fast == 0 && calls > CALLS_TO_QUEUE) {
                LockSupport.parkNanos(500_000); // leaves the core to the JIT
            }
        }
    }
}
