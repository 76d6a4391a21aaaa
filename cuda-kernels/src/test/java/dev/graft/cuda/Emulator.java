package dev.graft.cuda;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.nio.file.Files;
import java.nio.file.Path;

/// The stand-in driver, besides what a driver does.
@SuppressWarnings("restricted") // the stand-in is ours
public final class Emulator {
    private final MethodHandle fail, clear, say, count, signature;

    private Emulator(SymbolLookup library) {
        Linker linker = Linker.nativeLinker();
        fail = linker.downcallHandle(library.findOrThrow("emulation_fail"),
                FunctionDescriptor.ofVoid(ValueLayout.ADDRESS, ValueLayout.JAVA_INT, ValueLayout.JAVA_INT));
        clear = linker.downcallHandle(library.findOrThrow("emulation_clear"), FunctionDescriptor.ofVoid());
        say = linker.downcallHandle(library.findOrThrow("emulation_say"),
                FunctionDescriptor.ofVoid(ValueLayout.ADDRESS, ValueLayout.ADDRESS));
        count = linker.downcallHandle(library.findOrThrow("emulation_count"),
                FunctionDescriptor.of(ValueLayout.JAVA_LONG, ValueLayout.ADDRESS));
        signature = linker.downcallHandle(library.findOrThrow("emulation_signature"),
                FunctionDescriptor.of(ValueLayout.ADDRESS.withTargetLayout(MemoryLayout.sequenceLayout(64, ValueLayout.JAVA_BYTE)),
                        ValueLayout.ADDRESS));
    }

    /// Whether the tests run on it, in its checked build or the fast one.
    public static boolean isThere() {
        String library = System.getProperty("graft.cuda.driver", "");
        return library.contains("emulation") && Files.exists(Path.of(library));
    }

    public static Emulator open() {
        return new Emulator(SymbolLookup.libraryLookup(System.getProperty("graft.cuda.driver"), Arena.global()));
    }

    /// Lets the next calls of this name fail, so many times.
    void fail(String call, int result, int times) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment name = arena.allocateFrom(call);
            fail.invokeExact(name, result, times);
        } catch (Throwable t) {
            throw new AssertionError(t);
        }
    }

    /// How often a call of the driver was made so far, or a kernel launched, both by name.
    public long count(String name) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment text = arena.allocateFrom(name);
            return (long) count.invokeExact(text);
        } catch (Throwable t) {
            throw new AssertionError(t);
        }
    }

    /// What a function of the driver returns and takes, a letter each; empty for one that Graft does not call.
    String signature(String name) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment text = arena.allocateFrom(name);
            return ((MemorySegment) signature.invokeExact(text)).getString(0);
        } catch (Throwable t) {
            throw new AssertionError(t);
        }
    }

    /// Sets one of the variables of the environment that the driver heeds (driver.cpp), until [#clear].
    void say(String variable, String value) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment name = arena.allocateFrom(variable), text = arena.allocateFrom(value);
            say.invokeExact(name, text);
        } catch (Throwable t) {
            throw new AssertionError(t);
        }
    }

    /// Forgets errors that stay, work that waits, and what was said.
    void clear() {
        try {
            clear.invokeExact();
        } catch (Throwable t) {
            throw new AssertionError(t);
        }
    }
}
