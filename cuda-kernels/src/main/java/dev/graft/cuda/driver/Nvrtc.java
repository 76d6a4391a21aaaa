package dev.graft.cuda.driver;

import static dev.graft.cuda.driver.NativeLibrary.result;
import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import dev.graft.cuda.driver.NativeLibrary.Call;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/// NVIDIA's compiler as a library, `libnvrtc` of CUDA 12 or 13. It needs no GPU, and our sources no header of CUDA.
///
/// The system property `graft.cuda.nvrtc` names the library, if it is not where the system looks for libraries.
public final class Nvrtc {
    private static final List<String> NAMES = List.of("libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so");

    private final MethodHandle create, compile, destroy, cubinSize, cubin, logSize, log;

    private Nvrtc(NativeLibrary library) {
        create = bind(library, "nvrtcCreateProgram", ADDRESS, ADDRESS, ADDRESS, JAVA_INT, ADDRESS, ADDRESS);
        compile = bind(library, "nvrtcCompileProgram", ADDRESS, JAVA_INT, ADDRESS);
        destroy = bind(library, "nvrtcDestroyProgram", ADDRESS);
        cubinSize = bind(library, "nvrtcGetCUBINSize", ADDRESS, ADDRESS);
        cubin = bind(library, "nvrtcGetCUBIN", ADDRESS, ADDRESS);
        logSize = bind(library, "nvrtcGetProgramLogSize", ADDRESS, ADDRESS);
        log = bind(library, "nvrtcGetProgramLog", ADDRESS, ADDRESS);
    }

    private static MethodHandle bind(NativeLibrary library, String name, MemoryLayout... arguments) {
        return library.function(name, FunctionDescriptor.of(JAVA_INT, arguments));
    }

    /// The newest one there is.
    public static Optional<Nvrtc> find() {
        String named = System.getProperty("graft.cuda.nvrtc");
        return (named == null ? NAMES : List.of(named)).stream().flatMap(name -> open(name).stream()).findFirst();
    }

    private static Optional<Nvrtc> open(String name) {
        try {
            return Optional.of(new Nvrtc(new NativeLibrary(name, "NVRTC 12 or newer")));
        } catch (IllegalArgumentException e) {
            return Optional.empty();
        }
    }

    private static void check(String name, Call call) {
        int result = result(call);
        if (result != 0) throw new IllegalStateException("%s failed with NVRTC error %d".formatted(name, result));
    }

    /// Machine code for a chip.
    ///
    /// @param name of the file, for messages
    /// @param headers by the names that sources include them by
    /// @param chip `sm_90a`
    /// @throws IllegalArgumentException with the compiler's words when it does not accept the source, or does not know the chip
    public byte[] compile(String name, String source, Map<String, String> headers, String chip) {
        List<String> options = List.of("--gpu-architecture=" + chip, "--std=c++17", "--fmad=false",
                "--device-as-default-execution-space");            // what nvcc takes generic lambdas in kernels for anyway
        try (Arena arena = Arena.ofConfined()) {
            List<String> headerNames = List.copyOf(headers.keySet());
            MemorySegment to = arena.allocate(8), code = arena.allocateFrom(source), file = arena.allocateFrom(name),
                    names = texts(arena, headerNames), texts = texts(arena, headerNames.stream().map(headers::get).toList()),
                    arguments = texts(arena, options);
            check("nvrtcCreateProgram", () -> (int) create.invokeExact(to, code, file, headers.size(), texts, names));
            MemorySegment program = to.get(ADDRESS, 0), handle = arena.allocate(8);
            handle.set(ADDRESS, 0, program);
            try {
                if (result(() -> (int) compile.invokeExact(program, options.size(), arguments)) != 0)
                    throw new IllegalArgumentException("NVRTC cannot compile %s for %s:%n%s".formatted(name, chip, log(arena, program)));
                check("nvrtcGetCUBINSize", () -> (int) cubinSize.invokeExact(program, to));
                MemorySegment image = arena.allocate(to.get(JAVA_LONG, 0));
                check("nvrtcGetCUBIN", () -> (int) cubin.invokeExact(program, image));
                return image.toArray(JAVA_BYTE);
            } finally {
                check("nvrtcDestroyProgram", () -> (int) destroy.invokeExact(handle));
            }
        }
    }

    private String log(Arena arena, MemorySegment program) {
        MemorySegment size = arena.allocate(8);
        check("nvrtcGetProgramLogSize", () -> (int) logSize.invokeExact(program, size));
        MemorySegment text = arena.allocate(Math.max(1, size.get(JAVA_LONG, 0)));
        check("nvrtcGetProgramLog", () -> (int) log.invokeExact(program, text));
        return text.getString(0);
    }

    private static MemorySegment texts(Arena arena, List<String> texts) {
        MemorySegment all = arena.allocate(ADDRESS, Math.max(1, texts.size()));
        for (int i = 0; i < texts.size(); i++) all.setAtIndex(ADDRESS, i, arena.allocateFrom(texts.get(i)));
        return all;
    }
}
