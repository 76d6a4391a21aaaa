package dev.graft.peft.cli;

import dev.graft.peft.eval.DataException;
import dev.graft.peft.eval.GapClosed;
import dev.graft.peft.eval.GapPlot;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/// Compares results of a base, of the base steered, and of the base tuned.
@Command(name = "gap", mixinStandardHelpOptions = true, sortOptions = false,
        description = "Says how much of the gap between a model and its tuned self is closed by steering it.", footer = {"",
                "The folders are what graft eval wrote; sets count that are in base, tuned and the steered one. Examples:",
                "  graft gap --base results/base --proxy results/steered --tuned results/tuned",
                "  graft gap --base base --proxy alpha-0.5 --proxy alpha-1 --tuned tuned --plot gap"})
final class Gap implements Callable<Integer> {
    @Spec
    private CommandSpec spec;

    @Option(names = "--base", required = true, paramLabel = "DIR", description = "Results of the model as it is.")
    private Path base;

    @Option(names = "--proxy", required = true, paramLabel = "DIR",
            description = "Results of the model steered, or however else it was helped; more than once for several.")
    private List<Path> proxies;

    @Option(names = "--tuned", required = true, paramLabel = "DIR", description = "Results of the model tuned itself.")
    private Path tuned;

    @Option(names = "--plot", paramLabel = "DIR", description = "Draw there, for each set, the figure over the steered models' alpha.")
    private Path plot;

    @Override
    public Integer call() throws IOException {
        List<GapClosed> all = proxies.stream().map(proxy -> GapClosed.read(base, proxy, tuned)).toList();
        if (plot != null) draw(all);
        for (int i = 0; i < proxies.size(); i++) {
            if (proxies.size() > 1) spec.commandLine().getOut().printf("%s%s%n", i == 0 ? "" : System.lineSeparator(), proxies.get(i));
            table(all.get(i));
        }
        return 0;
    }

    private void table(GapClosed gap) {
        int width = Math.max(4, gap.sets().stream().mapToInt(s -> s.task().length()).max().orElseThrow());
        double mean = gap.mean();
        var out = spec.commandLine().getOut();
        out.printf("%-" + width + "s  %-12s  %8s  %8s  %8s  gap closed%n", "set", "figure", "base", "proxy", "tuned");
        for (GapClosed.Set s : gap.sets()) {
            out.printf(Locale.ROOT, "%-" + width + "s  %-12s  %8.4f  %8.4f  %8.4f  %8.1f %%%n", s.task(), s.metric(), s.base(), s.proxy(),
                    s.tuned(),
                    100 * s.closed());
        }
        if (gap.sets().size() > 1)
            out.printf(Locale.ROOT, "%-" + width + "s  %-12s  %8s  %8s  %8s  %8.1f %%%n", "mean", "", "", "", "", 100 * mean);
        out.flush();
    }

    private void draw(List<GapClosed> all) throws IOException {
        Map<String, List<GapClosed.Set>> sets = new LinkedHashMap<>();
        for (int i = 0; i < all.size(); i++) {
            for (GapClosed.Set set : all.get(i).sets()) {
                if (set.alpha().isEmpty())
                    throw new DataException(
                            "%s was not steered, so there is no alpha to draw it at; leave out --plot".formatted(proxies.get(i)));
                sets.computeIfAbsent(set.task(), _ -> new ArrayList<>()).add(set);
            }
        }
        Files.createDirectories(plot);
        sets.forEach((task, runs) -> GapPlot.draw(runs, plot.resolve("alpha-" + task.replace('/', '-') + ".png")));
    }
}
