package dev.graft.tensor.backend;

import java.lang.foreign.AddressLayout;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;

/// Memory on pages of 2 MiB, where Linux gives them (`madvise(MADV_HUGEPAGE)`).
///
/// A large tensor on pages of 4 KiB has more of them than a core remembers the addresses of, and a matrix read by columns needs another one for each row;
/// walking the page tables costs a matrix product some 5 %, twice that in a virtual machine. Fresh memory comes faster too: one fault for 2 MiB, and the
/// kernel's zeros instead of another pass of the JDK's.
///
/// Needs native access for this module (`--enable-native-access`); without it, on other systems, and with the system property
/// `graft.hugePages=false`, memory is what the JDK gives.
final class HugePages {
    static final long PAGE = 2L << 20;

    private static final int PROT_READ_WRITE = 3;
    private static final int MAP_PRIVATE_ANONYMOUS = 0x22;
    private static final int MADV_HUGEPAGE = 14;
    private static final Calls CALLS = Calls.find();

    private HugePages() {
    }

    /// The three functions of the C library.
    private record Calls(MethodHandle mmap, MethodHandle munmap, MethodHandle madvise) {
        private static final AddressLayout POINTER = ValueLayout.ADDRESS;
        private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT;
        private static final ValueLayout.OfLong LONG = ValueLayout.JAVA_LONG;

        @SuppressWarnings("restricted") // the signatures are those of POSIX on 64-bit systems
        static Calls find() {
            boolean wanted = !System.getProperty("graft.hugePages", "true").equals("false");
            if (!wanted || !System.getProperty("os.name").equals("Linux") || POINTER.byteSize() != 8
                    || !HugePages.class.getModule().isNativeAccessEnabled())
                return null;
            Linker linker = Linker.nativeLinker();
            SymbolLookup libc = linker.defaultLookup();
            return new Calls(
                    linker.downcallHandle(libc.findOrThrow("mmap"), FunctionDescriptor.of(POINTER, POINTER, LONG, INT, INT, INT, LONG)),
                    linker.downcallHandle(libc.findOrThrow("munmap"), FunctionDescriptor.of(INT, POINTER, LONG)),
                    linker.downcallHandle(libc.findOrThrow("madvise"), FunctionDescriptor.of(INT, POINTER, LONG, INT)));
        }

        MemorySegment mmap(long bytes) {
            try {
                return (MemorySegment) mmap.invokeExact(MemorySegment.NULL, bytes, PROT_READ_WRITE, MAP_PRIVATE_ANONYMOUS, -1, 0L);
            } catch (Throwable t) {
                throw new AssertionError(t);
            }
        }

        void munmap(MemorySegment memory, long bytes) {
            try {
                int _ = (int) munmap.invokeExact(memory, bytes);
            } catch (Throwable t) {
                throw new AssertionError(t);
            }
        }

        void madvise(MemorySegment memory, long bytes) {
            try {
                int _ = (int) madvise.invokeExact(memory, bytes, MADV_HUGEPAGE);   // advice: what it returns changes nothing
            } catch (Throwable t) {
                throw new AssertionError(t);
            }
        }
    }

    /// Zeros at a multiple of [#PAGE], given back when the arena closes; null when there are no such pages to be had. What remains of `bytes` behind the
    /// last whole page lies on small ones, so no memory is taken beyond it.
    @SuppressWarnings("restricted") // reinterpret: address and size are those of the mapping just made
    static MemorySegment allocate(long bytes, Arena arena) {
        if (CALLS == null || bytes < PAGE) return null;
        long mapped = bytes + PAGE;                                                 // room to begin at a multiple; what is not touched costs nothing
        MemorySegment mapping = CALLS.mmap(mapped);
        if (mapping.address() == -1) return null;
        long begin = Math.ceilDiv(mapping.address(), PAGE) * PAGE;
        CALLS.madvise(MemorySegment.ofAddress(begin), bytes / PAGE * PAGE);
        return mapping.reinterpret(mapped, arena, _ -> CALLS.munmap(mapping, mapped)).asSlice(begin - mapping.address(), bytes);
    }
}
