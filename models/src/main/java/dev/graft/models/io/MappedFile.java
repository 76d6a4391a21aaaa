package dev.graft.models.io;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;

/// Files as memory.
final class MappedFile {
    private MappedFile() {}

    private static final long PAGE = 4096;
    private static final int MADV_DONTNEED = 4;
    private static final MethodHandle MADVISE = madvise();

    /// The whole file, read-only, until `arena` is closed. Pages are read when they are touched.
    @SuppressWarnings("restricted") // reinterpret: address, size and lifetime are those of the mapping just made
    static MemorySegment map(Path file, Arena arena) {
        // A pipe or a terminal would block for ever where a file is meant.
        if (!Files.isRegularFile(file)) throw new CheckpointException(file, Files.exists(file) ? "is not a file" : "does not exist");
        try (FileChannel channel = FileChannel.open(file, StandardOpenOption.READ)) {
            long size = channel.size();
            if (size == 0) throw new CheckpointException(file, "is empty");
            MemorySegment mapped = channel.map(FileChannel.MapMode.READ_ONLY, 0, size, arena);
            // Mapped and native segments are two classes. A kernel's call site that has met both no longer inlines its memory accesses and
            // stays several times slower for the life of the JVM, so weights straight from a file must look like any other native memory.
            return MemorySegment.ofAddress(mapped.address()).reinterpret(size, arena, null).asReadOnly();
        } catch (IOException e) {
            throw new CheckpointException(file, "cannot be read: " + e.getMessage(), e);
        }
    }

    /// Takes the whole pages of this part of a file out of the process; on Linux, and with native access. What is in them stays in the file.
    static void forget(MemorySegment part) {
        long begin = Math.ceilDiv(part.address(), PAGE) * PAGE, end = (part.address() + part.byteSize()) / PAGE * PAGE;
        if (MADVISE == null || end <= begin) return;
        try {
            int _ = (int) MADVISE.invokeExact(MemorySegment.ofAddress(begin), end - begin, MADV_DONTNEED); // advice: what it returns changes nothing
        } catch (Throwable t) {
            throw new AssertionError(t);
        }
    }

    @SuppressWarnings("restricted") // the signature is that of POSIX on 64-bit systems
    private static MethodHandle madvise() {
        if (!System.getProperty("os.name").equals("Linux") || ValueLayout.ADDRESS.byteSize() != 8
                || !MappedFile.class.getModule().isNativeAccessEnabled())
            return null;
        Linker linker = Linker.nativeLinker();
        return linker.downcallHandle(linker.defaultLookup().findOrThrow("madvise"),
                FunctionDescriptor.of(ValueLayout.JAVA_INT, ValueLayout.ADDRESS, ValueLayout.JAVA_LONG, ValueLayout.JAVA_INT));
    }
}
