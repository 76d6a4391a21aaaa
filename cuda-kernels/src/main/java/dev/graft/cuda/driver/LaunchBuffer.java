package dev.graft.cuda.driver;

import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.MemorySegment;

/// What `cuLaunchKernel` takes as `extra`, to have all arguments in one piece.
final class LaunchBuffer {
    private static final int POINTER = 1, SIZE = 2, END = 0;

    private LaunchBuffer() {
    }

    /// @param to 48 bytes, which live until the call returns
    static void write(MemorySegment to, MemorySegment arguments, long bytes) {
        to.set(JAVA_LONG, 0, POINTER);
        to.set(JAVA_LONG, 8, arguments.address());
        to.set(JAVA_LONG, 16, SIZE);
        to.set(JAVA_LONG, 24, to.address() + 40);
        to.set(JAVA_LONG, 32, END);
        to.set(JAVA_LONG, 40, bytes);
    }
}
