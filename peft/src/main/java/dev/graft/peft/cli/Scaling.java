package dev.graft.peft.cli;

import dev.graft.models.io.Json;
import dev.graft.peft.scaling.JointLaw;
import dev.graft.peft.scaling.Measured;
import dev.graft.peft.scaling.PowerLaw;
import dev.graft.peft.scaling.ScalingLaw;
import dev.graft.peft.scaling.ScalingPlot;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.Callable;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/// Fits a scaling law to runs, and says how well it foretells the largest.
@Command(name = "scaling", mixinStandardHelpOptions = true, sortOptions = false,
        description = "Fits how loss falls with size to the results of runs.", footer = {
                "",
                "Without --data the law is L(C) = a C^b + c, by least squares; with it L(X, D) = A X^-alpha D^-beta + E, by the Huber loss of ln L. Examples:",
                "  graft scaling w64/pretraining.json w128/pretraining.json w192/pretraining.json w256/pretraining.json --hold-out 1 --output DIR",
                "  graft scaling study-100-steps/results.jsonl study-300-steps/results.jsonl --size trainable_parameters --data examples --where method=lora",
                "  graft scaling study-*/results.jsonl --size model_parameters,trainable_parameters --data examples --hold-out 3 --output DIR"})
final class Scaling implements Callable<Integer> {
    @Spec
    private CommandSpec spec;

    @Parameters(arity = "1..*", paramLabel = "FILE",
            description = "Results: .json, one run each, or .jsonl, a run a line. What failed is passed over.")
    private List<Path> files;

    @Option(names = "--size", paramLabel = "FIELD", split = ",", defaultValue = "parameters",
            description = "Field that holds a run's size, or with --data several; settings.training.steps looks inside of others (default: ${DEFAULT-VALUE}).")
    private List<String> sizes;

    @Option(names = "--data", paramLabel = "FIELD", description = "Field that holds how much data a run saw.")
    private String data;

    @Option(names = "--loss", paramLabel = "FIELD", defaultValue = "held_out_loss",
            description = "Field that holds a run's loss (default: ${DEFAULT-VALUE}).")
    private String loss;

    @Option(names = "--where", paramLabel = "FIELD=VALUE",
            description = "Take only runs whose field holds this; may be given several times.")
    private Map<String, String> where = Map.of();

    @Option(names = "--hold-out", paramLabel = "N", defaultValue = "0",
            description = "Leave out the N largest runs, and foretell them (default: ${DEFAULT-VALUE}).")
    private int holdOut;

    @Option(names = "--predict", paramLabel = "SIZE[,DATA]", split = ",",
            description = "Foretell the loss at this size (or these), and amount of data.")
    private List<Double> predict = List.of();

    @Option(names = "--output", paramLabel = "DIR", description = "Where scaling.json and scaling.png go.")
    private Path output;

    @Override
    public Integer call() throws IOException {
        if (holdOut < 0) throw new ParameterException(spec.commandLine(), "--hold-out must be at least 0, got " + holdOut);
        if (data == null && sizes.size() > 1)
            throw new ParameterException(spec.commandLine(),
                    "several --size, %s, are of the joint law, which needs --data".formatted(sizes));
        if (!predict.isEmpty() && predict.size() != sizes.size() + (data == null ? 0 : 1)) {
            throw new ParameterException(spec.commandLine(), "--predict takes %s%s, got %s".formatted(
                    sizes.size() == 1 ? "a size" : sizes.size() + " sizes", data == null ? "" : " and an amount of data", predict));
        }
        List<Measured> runs = runs();
        if (holdOut >= runs.size())
            throw new ParameterException(spec.commandLine(), "--hold-out %d leaves none of %d runs to fit".formatted(holdOut, runs.size()));
        List<Measured> fitted = runs.subList(0, runs.size() - holdOut);
        List<Measured> heldOut = runs.subList(runs.size() - holdOut, runs.size());
        ScalingLaw law = data == null ? PowerLaw.fit(fitted) : JointLaw.fit(fitted);
        report(law, fitted, heldOut);
        if (output != null) write(law, fitted, heldOut);
        return 0;
    }

    /// By size times data, the largest last.
    private List<Measured> runs() throws IOException {
        List<Measured> runs = new ArrayList<>();
        for (Path file : files) {
            if (!Files.isRegularFile(file)) throw new ParameterException(spec.commandLine(), "there is no file " + file);
            List<String> texts = file.toString().endsWith(".jsonl") ? Files.readAllLines(file) : List.of(Files.readString(file));
            for (int i = 0; i < texts.size(); i++) {
                if (texts.get(i).isBlank()) continue;
                Map<String, Object> run = Json.parse(texts.get(i), file + (texts.size() > 1 ? ", line " + (i + 1) : "")).toMap();
                if (run.containsKey("error")
                        || !where.entrySet().stream().allMatch(e -> e.getValue().equals(String.valueOf(at(run, e.getKey())))))
                    continue;
                Double found = number(run, loss);
                List<Double> of = sizes.stream().map(field -> number(run, field)).filter(Objects::nonNull).toList();
                if (found == null || of.size() < sizes.size()) continue;                // a study's bare models were not trained
                Double amount = data == null ? Double.valueOf(1) : number(run, data);
                if (amount != null) runs.add(new Measured(of, amount, found));
            }
        }
        if (runs.isEmpty()) {
            throw new IllegalArgumentException(
                    "no run in %s holds the numbers %s%s".formatted(files,
                            Stream.of(sizes, data == null ? List.<String>of() : List.of(data), List.of(loss)).flatMap(List::stream)
                                    .toList(),
                            where.isEmpty() ? "" : " where " + where));
        }
        runs.sort(Comparator.comparingDouble(r -> r.sizes().stream().mapToDouble(Math::log).sum() + Math.log(r.d())));
        return runs;
    }

    private static Double number(Map<String, Object> run, String path) {
        return at(run, path) instanceof Number n ? n.doubleValue() : null;
    }

    private static Object at(Map<String, Object> run, String path) {
        Object at = run;
        for (String part : path.split("\\.")) at = at instanceof Map<?, ?> map ? map.get(part) : null;
        return at;
    }

    private void report(ScalingLaw law, List<Measured> fitted, List<Measured> heldOut) {
        PrintWriter out = spec.commandLine().getOut();
        out.println(law);
        out.printf(Locale.ROOT, "mean error on the %d runs it was fitted to: %.2f %%%n", fitted.size(), 100 * law.error(fitted));
        for (Measured run : heldOut) {
            String of = IntStream.range(0, sizes.size()).mapToObj(i -> sizes.get(i) + " " + plain(run.sizes().get(i)))
                    .collect(Collectors.joining(", "));
            out.printf(Locale.ROOT, "held out: %s%s, loss %.4f, foretold %.4f (%+.2f %%)%n", of,
                    data == null ? "" : ", " + data + " " + plain(run.d()), run.loss(), law.at(run), 100 * (law.at(run) / run.loss() - 1));
        }
        if (!predict.isEmpty())
            out.printf(Locale.ROOT, "foretold at %s: %.4f%n", predict.stream().map(Scaling::plain).toList(),
                    law.at(predict.subList(0, sizes.size()), data == null ? 1 : predict.getLast()));
        out.flush();
    }

    private static String plain(double number) {
        return String.format(Locale.ROOT, number == Math.rint(number) ? "%,.0f" : "%.6g", number);
    }

    private void write(ScalingLaw law, List<Measured> fitted, List<Measured> heldOut) throws IOException {
        Files.createDirectories(output);
        Map<String, Object> json = new LinkedHashMap<>();
        json.put("law", law.toString());
        json.put("constants", switch (law) {
            case PowerLaw(double a, double b, double c) -> Map.of("a", a, "b", b, "c", c);
            case JointLaw(double a, List<Double> alphas, double beta, double e) -> Map.of("A", a, "alpha", single(alphas), "beta", beta,
                    "E",
                    e);
        });
        json.put("size", single(sizes));
        json.put("data", data);
        json.put("loss", loss);
        json.put("error_fitted", law.error(fitted));
        json.put("error_held_out", heldOut.isEmpty() ? null : law.error(heldOut));
        json.put("runs",
                Stream.concat(fitted.stream().map(r -> run(law, r, false)), heldOut.stream().map(r -> run(law, r, true))).toList());
        Json.write(output.resolve("scaling.json"), json);
        ScalingPlot.draw(law, fitted, heldOut, String.join(" and ", sizes), data, output.resolve("scaling.png"));
        spec.commandLine().getOut().println("wrote " + output);
    }

    /// One as itself.
    private static Object single(List<?> all) {
        return all.size() == 1 ? all.getFirst() : all;
    }

    private static Map<String, Object> run(ScalingLaw law, Measured run, boolean heldOut) {
        Map<String, Object> json = new LinkedHashMap<>();
        json.put("size", single(run.sizes()));
        json.put("data", run.d());
        json.put("loss", run.loss());
        json.put("foretold", law.at(run));
        json.put("held_out", heldOut);
        return json;
    }
}
