package dev.graft.peft.cli;

import dev.graft.peft.eval.Item;
import dev.graft.peft.eval.Items;
import dev.graft.peft.eval.Question;
import dev.graft.peft.eval.protocol.Parted;
import dev.graft.peft.eval.protocol.Split;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.stream.Collectors;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/// Writes what a set of a paper has to learn from, asked as `eval` asks it.
@Command(name = "records", mixinStandardHelpOptions = true, sortOptions = false,
        description = "Writes what there is to learn from in a paper's set, as records for 'graft tune' and 'graft study'.", footer = {"",
                "What 'graft eval --task NAME' asks is in neither file. A record for each answer. Example:",
                "  graft records --task pedro/rte --data-root data --output rte",
                "  graft tune --model DIR --data rte/train.json --validation-data rte/dev.json --template plain --method pedro --output rte-pedro",
                "  graft eval --model DIR --adapter rte-pedro --task pedro/rte --data-root data --output results"})
final class SetRecords implements Callable<Integer> {
    @Spec
    private CommandSpec spec;

    @Option(names = "--task", required = true, paramLabel = "NAME", description = "The set: pedro/sst2, pedro/squad …")
    private String task;

    @Option(names = "--data-root", required = true, paramLabel = "DIR", description = "The folder its published files are below.")
    private Path dataRoot;

    @Option(names = "--output", required = true, paramLabel = "DIR", description = "Where train.json and dev.json go.")
    private Path output;

    @Override
    public Integer call() throws IOException {
        Parted set = ProtocolOptions.PARTED.stream().filter(s -> s.name().equals(task)).findFirst()
                .orElseThrow(
                        () -> new ParameterException(spec.commandLine(), "there is no set '%s' to learn from; there are %s".formatted(task,
                                ProtocolOptions.PARTED.stream().map(Parted::name).collect(Collectors.joining(", ")))));
        Split<Question> parts = set.parts(dataRoot);
        Files.createDirectories(output);
        write("train.json", parts.train());
        write("dev.json", parts.dev());
        return 0;
    }

    private void write(String name, List<Question> questions) {
        List<Item> items = questions.stream()
                .flatMap(q -> q.answers().stream().distinct().map(answer -> new Item(q.prompt(), "", answer, answer))).toList();
        Items.write(output.resolve(name), items);
        System.out.printf("wrote %d records to %s%n", items.size(), output.resolve(name));
    }
}
