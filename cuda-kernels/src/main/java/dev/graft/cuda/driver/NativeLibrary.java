package dev.graft.cuda.driver;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.SymbolLookup;
import java.lang.invoke.MethodHandle;

/// A library of NVIDIA's, or a stand-in for one, called through `java.lang.foreign`. It stays loaded.
final class NativeLibrary {
    /// A call of a function that returns an `int`, 0 when all went well.
    @FunctionalInterface
    interface Call {
        int result() throws Throwable;
    }

    private final SymbolLookup symbols;
    private final String needed;

    /// @param path of the library, or its name where the system looks for libraries
    /// @param needed which versions have all functions, for the error
    /// @throws IllegalArgumentException when there is no such library
    @SuppressWarnings("restricted") // the library is NVIDIA's, or what somebody named in its place
    NativeLibrary(String path, String needed) {
        symbols = SymbolLookup.libraryLookup(path, Arena.global());
        this.needed = needed;
    }

    boolean has(String name) {
        return symbols.find(name).isPresent();
    }

    /// @throws IllegalArgumentException when the library has no such function
    @SuppressWarnings("restricted") // signatures as NVIDIA's headers have them
    MethodHandle function(String name, FunctionDescriptor descriptor) {
        return Linker.nativeLinker().downcallHandle(symbols.find(name)
                .orElseThrow(() -> new IllegalArgumentException("it has no " + name + "; Graft needs " + needed)), descriptor);
    }

    static int result(Call call) {
        try {
            return call.result();
        } catch (Throwable t) {
            throw new AssertionError(t);
        }
    }
}
