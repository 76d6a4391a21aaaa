package dev.graft.peft.cli;

import dev.graft.tensor.Backends;
import dev.graft.tensor.TensorException;
import java.io.PrintWriter;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ScopeType;
import picocli.CommandLine.Spec;

/// The command line, `graft`. Each command is a class of its own, listed in [#COMMANDS]; what goes wrong is told here, once.
///
/// Exit codes: 0 done, 2 usage, 1 failure with a message and, after `--stacktrace`, where it came from.
@Command(name = "graft", synopsisSubcommandLabel = "COMMAND", mixinStandardHelpOptions = true, versionProvider = Version.class,
        description = "Fine-tunes language models: small adapters are grafted onto a frozen trunk.",
        commandListHeading = "%nCommands:%n",
        footer = {"", "graft COMMAND --help tells more. graft bench [...] runs the benchmarks."})
public final class Main implements Runnable {
    /// The commands in the order in which help lists them.
    private static final List<Class<?>> COMMANDS = List.of(Quickstart.class, Tune.class, Eval.class, Gap.class, Study.class, Generate.class,
            Merge.class,
            Inspect.class, Methods.class, Pretrain.class, TinyWorldRecords.class, SetRecords.class, Scaling.class, Combine.class,
            Dect.class, Init.class,
            Logits.class);

    private static final Map<String, String> LOGGING = Map.of("defaultLogLevel", "warn", "log.ai.djl", "error", "showThreadName", "false",
            "showLogName", "false");

    @Spec
    private CommandSpec spec;

    @Option(names = "--stacktrace", scope = ScopeType.INHERIT, description = "On failure, also print where it came from.")
    private boolean stacktrace;

    @Option(names = "--backend", scope = ScopeType.INHERIT, paramLabel = "NAME",
            description = "What computes: cpu, cuda:0, cuda:1 … (default: the best there is; graft --version lists them).")
    private String backend;

    /// How CUDA's driver is called.
    enum CudaBinding {
        PANAMA, JCUDA;

        @Override
        public String toString() {
            return name().toLowerCase(Locale.ROOT);
        }
    }

    @Option(names = "--cuda-binding", scope = ScopeType.INHERIT, paramLabel = "NAME",
            description = "How CUDA's driver is called: panama, or jcuda (default: panama).")
    private CudaBinding cudaBinding;

    @Option(names = "--cublas", scope = ScopeType.INHERIT, paramLabel = "PATH",
            description = "The library of cuBLAS; none: multiply matrices with Graft's own kernels (default: cuBLAS where the system has it).")
    private String cublas;

    private Main() {
    }

    public static void main(String[] args) {
        // Of what libraries log, show what a user can act on; how DJL looks for CUDA on the way to its tokenizers is not.
        LOGGING.forEach((setting, value) -> System.getProperties().putIfAbsent("org.slf4j.simpleLogger." + setting, value));
        System.exit(execute(commandLine(), args));
    }

    static int execute(CommandLine line, String... args) {
        try {
            return line.execute(args);
        } catch (Error e) { // picocli hands over exceptions only
            return failed(e, line);
        }
    }

    static CommandLine commandLine() {
        CommandLine line = new CommandLine(new Main());
        COMMANDS.forEach(command -> line.addSubcommand(new CommandLine(command)));
        return line.setUsageHelpAutoWidth(true)
                .setCaseInsensitiveEnumValuesAllowed(true)
                .setExecutionStrategy(Main::run)
                .setParameterExceptionHandler((e, _) -> misused(e))
                .setExecutionExceptionHandler((e, command, _) -> failed(e, command));
    }

    /// What computes is settled before anything does.
    private static int run(CommandLine.ParseResult command) {
        Main main = (Main) command.commandSpec().userObject();
        if (main.cudaBinding != null) System.setProperty("graft.cuda.binding", main.cudaBinding.toString());
        if (main.cublas != null) System.setProperty("graft.cuda.cublas", main.cublas);
        if (main.backend != null) {
            try {
                System.setProperty("graft.backend", Backends.named(main.backend).name());
            } catch (TensorException e) {
                throw new CommandLine.ParameterException(command.commandSpec().commandLine(), e.getMessage());
            }
        }
        return new CommandLine.RunLast().execute(command);
    }

    /// `graft` alone.
    @Override
    public void run() {
        spec.commandLine().usage(spec.commandLine().getOut());
    }

    private static int misused(CommandLine.ParameterException e) {
        CommandLine command = e.getCommandLine();
        PrintWriter err = command.getErr();
        String name = command.getCommandSpec().qualifiedName();
        err.println(command.getColorScheme().errorText(name + ": " + e.getMessage()));
        CommandLine.UnmatchedArgumentException.printSuggestions(e, err);
        err.println("'" + name + " --help' lists what it takes.");
        return CommandLine.ExitCode.USAGE;
    }

    private static int failed(Throwable e, CommandLine command) {
        PrintWriter err = command.getErr();
        err.println(command.getColorScheme().errorText(command.getCommandSpec().qualifiedName() + ": " + Failure.describe(e)));
        Main main = command.getCommandSpec().root().commandLine().getCommand();
        if (main.stacktrace) e.printStackTrace(err);
        return CommandLine.ExitCode.SOFTWARE;
    }
}
