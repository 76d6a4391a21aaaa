package dev.graft.peft.cli;

import dev.graft.peft.eval.Item;
import dev.graft.peft.eval.Items;
import dev.graft.peft.tinyworld.Topics;
import dev.graft.peft.tinyworld.WordProblems;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/// Writes records of the small invented world that `pretrain` tells stories about.
@Command(name = "tinyworld", mixinStandardHelpOptions = true, sortOptions = false,
        description = "Writes generated records to train on and to test on, for the small models of 'graft pretrain'.", footer = {
                "",
                "Nothing to test on is among what is to be trained on, whatever the seeds. Examples:",
                "  graft tinyworld --train 4800 --test 200 --most 80 --output problems",
                "  graft tinyworld --kind topics --output topics"})
final class TinyWorldRecords implements Callable<Integer> {
    /// What is asked.
    enum Kind {
        /// Word problems, answered with their sums.
        PROBLEMS,
        /// What a story is about.
        TOPICS;

        @Override
        public String toString() {
            return name().toLowerCase(Locale.ROOT);
        }
    }

    @Option(names = "--kind", paramLabel = "KIND", defaultValue = "problems",
            description = "problems: changes of a count, answered with the sums; topics: what a story is about, one of five words (default: ${DEFAULT-VALUE}).")
    private Kind kind;

    @Option(names = "--train", paramLabel = "N", defaultValue = "4800", description = "Records in train.json (default: ${DEFAULT-VALUE}).")
    private int train;

    @Option(names = "--test", paramLabel = "N", defaultValue = "200", description = "Records in test.json (default: ${DEFAULT-VALUE}).")
    private int test;

    @Option(names = "--most", paramLabel = "N", defaultValue = "20",
            description = "Of problems: the largest count, up to 99 (default: ${DEFAULT-VALUE}).")
    private int most;

    @Option(names = "--operations", paramLabel = "N", defaultValue = "2",
            description = "Of problems: changes in each, up to 6 (default: ${DEFAULT-VALUE}).")
    private int operations;

    @Option(names = "--seed", paramLabel = "N", defaultValue = "1", description = "Of the records (default: ${DEFAULT-VALUE}).")
    private long seed;

    @Option(names = "--output", required = true, paramLabel = "DIR", description = "Where train.json and test.json go.")
    private Path output;

    @Override
    public Integer call() throws IOException {
        if (train < 0 || test < 0)
            throw new IllegalArgumentException("--train and --test must be at least 0, got " + train + " and " + test);
        Files.createDirectories(output);
        switch (kind) {
            case PROBLEMS -> {
                WordProblems problems = new WordProblems(seed, most, operations);
                write(problems.training(train), problems.evaluation(test));
            }
            case TOPICS -> write(new Topics(seed).training(train), new Topics(seed).evaluation(test));
        }
        System.out.printf("wrote %d records to %s, %d to %s%n", train, output.resolve("train.json"), test, output.resolve("test.json"));
        return 0;
    }

    private void write(List<Item> training, List<Item> evaluation) {
        Items.write(output.resolve("train.json"), training);
        Items.write(output.resolve("test.json"), evaluation);
    }
}
