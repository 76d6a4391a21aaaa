package dev.graft.peft.cli;

import java.io.PrintWriter;
import java.util.List;
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
            Inspect.class, Methods.class, Pretrain.class, TinyWorldRecords.class, Scaling.class, Combine.class, Dect.class, Init.class,
            Logits.class);

    private static final Map<String, String> LOGGING = Map.of("defaultLogLevel", "warn", "log.ai.djl", "error", "showThreadName", "false",
            "showLogName", "false");

    @Spec
    private CommandSpec spec;

    @Option(names = "--stacktrace", scope = ScopeType.INHERIT, description = "On failure, also print where it came from.")
    private boolean stacktrace;

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
                .setParameterExceptionHandler((e, _) -> misused(e))
                .setExecutionExceptionHandler((e, command, _) -> failed(e, command));
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
