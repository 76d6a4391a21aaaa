import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;

/// Compiles what is CUDA here; Maven runs it from its source.
///
/// ```
/// java CudaBuild.java kernels  PROJECT    src/main/cuda/*.cu by nvcc into target/classes/dev/graft/cuda/kernels.zip, against the budget in src/main/cuda/budget.txt
/// java CudaBuild.java emulator PROJECT    the same by g++ into target/emulation/{fast,checked}/libcuda.so.1, and stand-ins for cuBLAS and NVRTC beside it
/// ```
/// Only what is older than its sources, or than this program, is made again, and everything with another nvcc. Without nvcc, or without g++ and CUDA's headers, it says so and goes on; with `-Dgraft.cuda.required=true` that is an error.
/// `-Dgraft.cuda.budget=write` writes the budget anew.
final class CudaBuild {
    private static final List<String> TARGETS = List.of("-gencode=arch=compute_80,code=[sm_80,compute_80]",
            "-gencode=arch=compute_89,code=sm_89", "-gencode=arch=compute_90a,code=sm_90a");
    private static final List<String> NVCC = List.of("-std=c++17", "-O3", "--fmad=false");
    private static final List<String> GCC = List.of("-std=c++17", "-g", "-fPIC", "-fvisibility=hidden", "-fvisibility-inlines-hidden",
            "-fno-strict-aliasing", "-ffp-contract=off",
            "-fno-threadsafe-statics", "-DGRAFT_EMULATION", "-Wall", "-Wno-unknown-pragmas", "-Wno-sign-compare", "-Wno-psabi",
            "-Wno-maybe-uninitialized");
    private static final List<String> CHECKED = List.of("-O1", "-DGRAFT_CHECKED",
            "-fsanitize=thread,alignment,bounds,shift,integer-divide-by-zero");

    private final Path project;
    private final Path sources;
    private final Path target;
    private final ExecutorService workers = Executors.newFixedThreadPool(Runtime.getRuntime().availableProcessors());

    private CudaBuild(Path project) {
        this.project = project;
        sources = project.resolve("src/main/cuda");
        target = project.resolve("target");
    }

    public static void main(String[] args) throws Exception {
        CudaBuild build = new CudaBuild(Path.of(args[1]));
        try {
            switch (args[0]) {
                case "kernels" -> build.kernels();
                case "emulator" -> build.emulator();
                default -> throw new IllegalArgumentException("kernels or emulator, got " + args[0]);
            }
        } catch (Failure e) {
            System.err.println("[ERROR] " + e.getMessage());
            System.exit(1);
        } finally {
            build.workers.shutdown();
        }
    }

    private static final class Failure extends RuntimeException {
        Failure(String message) {
            super(message);
        }
    }

    /// What a run of the build goes without.
    private static void without(String what) {
        if (Boolean.getBoolean("graft.cuda.required")) throw new Failure(what);
        System.out.println("[WARNING] " + what);
    }

    // ---- kernels ----

    private void kernels() throws Exception {
        Path zip = target.resolve("classes/dev/graft/cuda/kernels.zip");
        Optional<Path> nvcc = tool("nvcc");
        if (nvcc.isEmpty()) {
            without("There is no nvcc, so the jar of cuda-kernels will have the sources of kernels alone, which need NVRTC where they run. Set CUDA_HOME, or put nvcc on the PATH.");
            pack(index(Files.readAllLines(sources.resolve("budget.txt")).stream().skip(1)), List.of(), zip);
            return;
        }
        Path work = Files.createDirectories(target.resolve("cuda"));
        FileTime headers = latest(newest(sources, ".cuh"), newest(project.resolve("src/build"), ".java"));
        String version = version(nvcc.get());
        Path madeBy = work.resolve("made-by");
        if (!Files.exists(madeBy) || !Files.readString(madeBy).equals(version)) {
            for (Path usage : files(work, ".usage")) Files.delete(usage);        // what another compiler made counts for nothing
            Files.writeString(madeBy, version);
        }
        List<Future<?>> all = new ArrayList<>();
        List<Path> files = files(sources, ".cu");
        for (Path file : files) all.add(workers.submit(() -> compile(nvcc.get(), file, work, headers)));
        await(all);
        budget(files, work, version);
        List<Path> images = new ArrayList<>();
        List<String> lines = new ArrayList<>();
        for (Path file : files) {
            lines.addAll(Files.readAllLines(work.resolve(stem(file) + ".usage")));
            images.add(work.resolve(stem(file) + ".fatbin"));
            images.add(work.resolve(stem(file) + ".ptx"));
        }
        pack(index(lines.stream()), images, zip);
    }

    private Void compile(Path nvcc, Path file, Path work, FileTime headers) throws Exception {
        String name = stem(file);
        Path fatbin = work.resolve(name + ".fatbin"), ptx = work.resolve(name + ".ptx"), usage = work.resolve(name + ".usage");
        if (!isOlder(usage, file, headers)) return null;
        System.out.println("[INFO] nvcc " + file.getFileName());
        String said = run(nvcc, NVCC, TARGETS,
                List.of("-fatbin", "--compress-mode=size", "-Xptxas", "-v", "-o", fatbin.toString(), file.toString()));
        said.lines().filter(l -> l.contains("warning") || l.contains("serialized")).forEach(System.out::println);
        // What kernels for compute capability 8.0 need of PTX is as old as CUDA 11, what Hopper's own need as old as 12.0: drivers of that time take it, too. The assembler is asked whether that is so.
        boolean isOfHopper = Files.readString(file).contains("#ifdef HAS_WGMMA");
        String chip = isOfHopper ? "90a" : "80", virtual = "compute_" + chip;
        run(nvcc, NVCC, List.of("-ptx", "-gencode=arch=" + virtual + ",code=" + virtual, "-o", ptx.toString(), file.toString()));
        Files.writeString(ptx, Files.readString(ptx).replaceFirst("\\.version \\d+\\.\\d+", isOfHopper ? ".version 8.0" : ".version 7.0")
                .replaceAll("(?m)^\\s*\\.pragma \"used_bytes_mask[^\"]*\";\\R", ""));                // of 8.3, a hint
        run(nvcc.resolveSibling("ptxas"),
                List.of("-O0", "-arch=sm_" + chip, "-o", work.resolve(name + ".assembled").toString(), ptx.toString()));
        Files.writeString(usage, usage(name, said));
        return null;
    }

    /// A line for each kernel and target: file, kernel, target, registers, bytes of shared memory, bytes of spills.
    private static String usage(String file, String said) {
        Pattern entry = Pattern.compile("Compiling entry function '(\\w+)' for '(\\w+)'"),
                spills = Pattern.compile("(\\d+) bytes spill stores, (\\d+) bytes spill loads"),
                used = Pattern.compile("Used (\\d+) registers(?:.*?(\\d+) bytes smem)?");
        StringBuilder lines = new StringBuilder();
        String kernel = "", chip = "";
        int spilled = 0;
        for (String line : said.lines().toList()) {
            Matcher e = entry.matcher(line), s = spills.matcher(line), u = used.matcher(line);
            if (e.find()) {
                kernel = e.group(1);
                chip = e.group(2);
            }
            if (s.find()) spilled = Integer.parseInt(s.group(1)) + Integer.parseInt(s.group(2));
            if (u.find())
                lines.append(
                        "%-16s %-28s %-7s %4s %7s %6d%n".formatted(file, kernel, chip, u.group(1), u.group(2) == null ? "0" : u.group(2),
                                spilled));
        }
        return lines.toString();
    }

    /// The resources that every kernel takes are written down, and a change of the sources may not make them more unnoticed.
    private void budget(List<Path> files, Path work, String version) throws IOException {
        Path file = sources.resolve("budget.txt");
        List<String> lines = new ArrayList<>();
        for (Path f : files) lines.addAll(Files.readAllLines(work.resolve(stem(f) + ".usage")));
        lines.sort(Comparator.naturalOrder());
        String head = "# What each kernel of a file takes on each chip: registers, bytes of static shared memory, bytes of spills. By nvcc "
                + version;
        if ("write".equals(System.getProperty("graft.cuda.budget"))) {
            Files.writeString(file, head + "\n" + lines.stream().map(String::stripTrailing).collect(Collectors.joining("\n")) + "\n");
            System.out.println("[INFO] wrote " + file);
            return;
        }
        List<String> allowed = Files.exists(file) ? Files.readAllLines(file) : List.of(head);
        if (!allowed.getFirst().equals(head)) {
            System.out.println("[INFO] the budget of kernels was written by another nvcc than " + version + ", so it is not compared");
            return;
        }
        Map<String, int[]> limits = new TreeMap<>();
        allowed.stream().skip(1).forEach(l -> limits.put(key(l), numbers(l)));
        List<String> over = new ArrayList<>();
        for (String line : lines) {
            int[] limit = limits.get(key(line)), own = numbers(line);
            if (limit == null) over.add(line + "   (not in the budget)");
            else
                if (own[0] > limit[0] || own[1] > limit[1] || own[2] > limit[2])
                    over.add(line + "   (allowed: %d %d %d)".formatted(limit[0], limit[1], limit[2]));
        }
        if (!over.isEmpty())
            throw new Failure(
                    "Kernels take more than the budget in src/main/cuda/budget.txt allows; if that is meant, build with -Dgraft.cuda.budget=write:\n"
                            + String.join("\n", over));
    }

    private static String key(String line) {
        String[] words = line.trim().split("\\s+");
        return String.join(" ", words[0], words[1], words[2]);
    }

    private static int[] numbers(String line) {
        return Stream.of(line.trim().split("\\s+")).skip(3).limit(3).mapToInt(Integer::parseInt).toArray();
    }

    /// Which kernel is in which file, of lines of the budget.
    private static String index(Stream<String> lines) {
        return lines.map(l -> l.split("\\s+")).map(words -> words[1] + " " + words[0] + "\n").distinct().collect(Collectors.joining());
    }

    /// One file with images and sources.
    private void pack(String index, List<Path> images, Path zip) throws IOException {
        List<Path> all = Stream.of(images, files(sources, ".cu"), files(sources, ".cuh")).flatMap(List::stream).toList();
        if (all.stream().noneMatch(file -> isOlder(zip, file, FileTime.fromMillis(0)))) return;
        Files.createDirectories(zip.getParent());
        try (ZipOutputStream out = new ZipOutputStream(Files.newOutputStream(zip))) {
            put(out, "index", index.getBytes(StandardCharsets.UTF_8));
            for (Path file : all) put(out, file.getFileName().toString(), Files.readAllBytes(file));
        }
        System.out.println("[INFO] kernels.zip: " + Files.size(zip) / 1024 + " KiB");
    }

    private static void put(ZipOutputStream zip, String name, byte[] bytes) throws IOException {
        ZipEntry entry = new ZipEntry(name);
        entry.setLastModifiedTime(FileTime.fromMillis(1_767_225_600_000L));     // the same sources make the same jar
        zip.putNextEntry(entry);
        zip.write(bytes);
        zip.closeEntry();
    }

    // ---- the emulator ----

    private void emulator() throws Exception {
        Optional<Path> gcc = tool("g++"),
                headersOfCuda = tools().map(p -> p.resolveSibling("include")).filter(p -> Files.exists(p.resolve("cuda.h"))).findFirst();
        if (gcc.isEmpty() || headersOfCuda.isEmpty()) {
            without("There is no " + (gcc.isEmpty() ? "g++" : "cuda.h, CUDA's header,")
                    + " so the CUDA backend is not tested on an emulated device.");
            return;
        }
        Path include = headersOfCuda.get();
        Path emulation = project.resolve("src/test/emulation");
        FileTime headers = latest(newest(sources, ".cuh"), newest(emulation, ".h"), newest(project.resolve("src/build"), ".java"));
        List<String> includes = List.of("-I" + include, "-I" + emulation, "-I" + sources);
        for (String kind : List.of("fast", "checked")) {
            boolean isChecked = kind.equals("checked");
            Path out = Files.createDirectories(target.resolve("emulation").resolve(kind));
            List<Future<?>> all = new ArrayList<>();
            List<Path> objects = new ArrayList<>(), kernels = new ArrayList<>(files(sources, ".cu"));
            kernels.addAll(files(emulation, ".cu"));
            for (Path file : kernels) {
                Path object = out.resolve(stem(file) + ".o");
                objects.add(object);
                all.add(workers.submit(make(object, file, headers, gcc.get(), GCC, isChecked ? CHECKED : List.of("-O2"), includes,
                        List.of("-x", "c++", "-c", file.toString(), "-o", object.toString()))));
            }
            for (Path file : files(emulation, ".cpp")) {
                if (!isOfDriver(file)) continue;
                Path object = out.resolve("emulation_" + stem(file) + ".o");
                objects.add(object);
                all.add(workers.submit(
                        make(object, file, headers, gcc.get(), GCC, isChecked ? List.of("-O2", "-DGRAFT_CHECKED") : List.of("-O2"),
                                includes, List.of("-c", file.toString(), "-o", object.toString()))));
            }
            await(all);
            Path library = out.resolve("libcuda.so.1");
            if (objects.stream().anyMatch(o -> isOlder(library, o, FileTime.fromMillis(0))))
                run(gcc.get(), List.of("-shared", "-Wl,-soname,libcuda.so.1", "-Wl,-z,defs", "-o", library.toString()),
                        objects.stream().map(Path::toString).toList());
            for (String name : List.of("cublas.13", "cublas.12", "nvrtc.13")) {
                String stem = name.substring(0, name.indexOf('.')), soname = "lib" + name.replace(".", ".so.");
                Path source = emulation.resolve(stem + ".cpp"), to = out.resolve(soname), symbols = out.resolve(name + ".map");
                Files.writeString(symbols, soname + " { global: " + stem + "*; local: *; };\n");   // JCublas wants symbols of this very version
                make(to, source, Files.getLastModifiedTime(library), gcc.get(), GCC, List.of("-O2", "-shared", "-Wl,-soname," + soname,
                        "-Wl,--version-script," + symbols, "-o", to.toString(), source.toString(), library.toString())).call();
            }
        }
    }

    private static boolean isOfDriver(Path source) {
        return !List.of("cublas", "nvrtc").contains(stem(source));
    }

    private Callable<Void> make(Path to, Path from, FileTime headers, Path tool, List<?>... arguments) {
        return () -> {
            if (!isOlder(to, from, headers)) return null;
            System.out.println("[INFO] g++ " + to.getParent().getFileName() + "/" + to.getFileName());
            run(tool, arguments);
            return null;
        };
    }

    // ---- files and processes ----

    private static Optional<Path> tool(String name) {
        return tools().map(p -> p.resolve(name)).filter(Files::isExecutable).findFirst();
    }

    /// Folders where programs are looked for.
    private static Stream<Path> tools() {
        String home = System.getenv("CUDA_HOME");
        Stream<Path> own = home == null ? Stream.empty() : Stream.of(Path.of(home, "bin"));
        return Stream.of(own, Stream.of(System.getenv("PATH").split(":")).map(Path::of), Stream.of(Path.of("/usr/local/cuda/bin")))
                .flatMap(s -> s);
    }

    private static String version(Path nvcc) throws Exception {
        Matcher m = Pattern.compile("V(\\d+\\.\\d+)").matcher(run(nvcc, List.of("--version")));
        return m.find() ? m.group(1) : "?";
    }

    private static boolean isOlder(Path made, Path from, FileTime orThan) {
        try {
            if (!Files.exists(made)) return true;
            FileTime own = Files.getLastModifiedTime(made);
            return own.compareTo(Files.getLastModifiedTime(from)) < 0 || own.compareTo(orThan) < 0;
        } catch (IOException e) {
            throw new Failure(e.toString());
        }
    }

    private static FileTime newest(Path folder, String suffix) throws IOException {
        FileTime newest = FileTime.fromMillis(0);
        for (Path file : files(folder, suffix)) {
            FileTime own = Files.getLastModifiedTime(file);
            if (own.compareTo(newest) > 0) newest = own;
        }
        return newest;
    }

    private static FileTime latest(FileTime... times) {
        return Stream.of(times).max(Comparator.naturalOrder()).orElseThrow();
    }

    private static List<Path> files(Path folder, String suffix) throws IOException {
        try (Stream<Path> files = Files.list(folder)) {
            return files.filter(f -> f.toString().endsWith(suffix)).sorted().toList();
        }
    }

    private static String stem(Path file) {
        String name = file.getFileName().toString();
        return name.substring(0, name.lastIndexOf('.'));
    }

    private static void await(List<Future<?>> all) throws Exception {
        for (Future<?> f : all) {
            try {
                f.get();
            } catch (java.util.concurrent.ExecutionException e) {
                throw e.getCause() instanceof Exception cause ? cause : e;
            }
        }
    }

    private static String run(Path tool, List<?>... arguments) throws Exception {
        List<String> command = new ArrayList<>(List.of(tool.toString()));
        for (List<?> part : arguments) part.forEach(a -> command.add(a.toString()));
        Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
        String said;
        try (InputStream in = process.getInputStream()) {
            said = new String(in.readAllBytes(), StandardCharsets.UTF_8);
        }
        if (process.waitFor() != 0) throw new Failure(String.join(" ", command) + "\n" + said);
        return said;
    }
}
