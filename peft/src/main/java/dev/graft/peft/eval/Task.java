package dev.graft.peft.eval;

import dev.graft.peft.eval.Answers.LetterRule;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/// A test set: how an answer is read out of a response, how long a response may get, and how many records there should be.
///
/// @param name                its folder: `<name>/test.json`
/// @param kind                how an answer is read
/// @param alternatives        for choice sets, what an answer can be, in the order they are tried
/// @param maxNewTokens        tokens a response may have
/// @param keepSpecialTokens   whether responses are decoded with their special tokens, as the original evaluator does for arithmetic
/// @param records             records of the published file, if this is a published set
public record Task(String name, Kind kind, List<String> alternatives, int maxNewTokens, boolean keepSpecialTokens, OptionalInt records) {
    /// How an answer is read out of a response; see [Answers].
    public enum Kind {
        NUMERIC, LETTER, CHOICE
    }

    private static final int ARITHMETIC_TOKENS = 256;
    private static final int COMMONSENSE_TOKENS = 32;

    /// The six arithmetic sets of the paper, then MAWPS and MathQA, then the eight commonsense sets.
    public static final List<Task> ALL = List.of(numeric("MultiArith", 600), numeric("gsm8k", 1_319), numeric("AddSub", 395),
            letter("AQuA", 254),
            numeric("SingleEq", 508), numeric("SVAMP", 1_000), numeric("mawps", 238), letter("mathqa", 2_985), //
            choice("boolq", 3_270, "true", "false"), choice("piqa", 1_838, "solution1", "solution2"),
            choice("social_i_qa", 1_954, numbered("answer", 5)),
            choice("hellaswag", 10_042, numbered("ending", 4)), choice("winogrande", 1_267, numbered("option", 2)),
            choice("ARC-Easy", 2_376, numbered("answer", 5)),
            choice("ARC-Challenge", 1_172, numbered("answer", 5)), choice("openbookqa", 500, numbered("answer", 5)));

    public Task {
        alternatives = List.copyOf(alternatives);
        if (kind == Kind.CHOICE && alternatives.isEmpty()) {
            throw new IllegalArgumentException("task %s chooses among alternatives and has none".formatted(name));
        }
        if (alternatives.stream().anyMatch(String::isBlank)) {
            throw new IllegalArgumentException(
                    "task %s: an alternative is blank, which every response says: %s".formatted(name, alternatives));
        }
        if (maxNewTokens < 1) {
            throw new IllegalArgumentException("task %s: max_new_tokens must be above 0, got %d".formatted(name, maxNewTokens));
        }
    }

    /// The set of this name, in capitals or not.
    public static Task named(String name) {
        return ALL.stream().filter(task -> task.name.equalsIgnoreCase(name)).findFirst()
                .orElseThrow(() -> new IllegalArgumentException("there is no task '%s'; there are %s"
                        .formatted(name, ALL.stream().map(Task::name).collect(Collectors.joining(", ")))));
    }

    /// A numeric set of one's own.
    public static Task numeric(String name, int maxNewTokens, boolean keepSpecialTokens) {
        return new Task(name, Kind.NUMERIC, List.of(), maxNewTokens, keepSpecialTokens, OptionalInt.empty());
    }

    /// A set of letters A to E of one's own.
    public static Task letter(String name, int maxNewTokens, boolean keepSpecialTokens) {
        return new Task(name, Kind.LETTER, List.of(), maxNewTokens, keepSpecialTokens, OptionalInt.empty());
    }

    /// A choice set of one's own.
    public static Task choice(String name, int maxNewTokens, List<String> alternatives) {
        return new Task(name, Kind.CHOICE, alternatives, maxNewTokens, false, OptionalInt.empty());
    }

    /// The same with longer or shorter responses.
    public Task withMaxNewTokens(int tokens) {
        return new Task(name, kind, alternatives, tokens, keepSpecialTokens, records);
    }

    /// This set's file in a folder that is laid out as LLM-Adapters' `dataset` is.
    ///
    /// @throws DataException if there is none, with all places looked at
    public Path file(Path root) {
        List<Path> places = Stream.of("test.json", "test.json.gz", "test.jsonl", "test.jsonl.gz").map(root.resolve(name)::resolve).toList();
        return places.stream().filter(Files::isRegularFile).findFirst()
                .orElseThrow(() -> new DataException("there is no test set %s: looked for %s".formatted(name,
                        places.stream().map(Path::toString).collect(Collectors.joining(", ")))));
    }

    /// @throws DataException if no response could ever be right
    void check(String gold, int record) {
        boolean possible = switch (kind) {
            case NUMERIC -> Answers.isNumber(gold);
            case LETTER -> gold.matches("[A-E]");
            case CHOICE -> alternatives.contains(gold);
        };
        if (!possible) {
            throw new DataException(
                    "record %d: the gold answer '%s' is none that task %s can have: %s".formatted(record, gold, name, switch (kind) {
                        case NUMERIC -> "a number";
                        case LETTER -> "a letter from A to E";
                        case CHOICE -> String.join(", ", alternatives);
                    }));
        }
    }

    /// What a response was taken to say, if it said anything.
    Optional<String> says(Verdict verdict) {
        return Optional.of(verdict.prediction()).filter(text -> !text.equals(kind == Kind.NUMERIC ? "Infinity" : ""));
    }

    /// Reads the answer out of a response and judges it.
    ///
    /// @param response the part of the generated text that answers, stripped
    /// @param gold     the record's answer
    public Verdict judge(String response, String gold, LetterRule rule) {
        return switch (kind) {
            case NUMERIC -> {
                double prediction = Answers.number(response);
                yield new Verdict(Double.toString(prediction), Math.abs(Answers.gold(gold) - prediction) <= Answers.TOLERANCE);
            }
            case LETTER -> Verdict.exact(Answers.letter(response, rule), gold);
            case CHOICE -> Verdict.exact(Answers.choice(response, alternatives), gold);
        };
    }

    /// What a response was taken to say, and whether that is right. `prediction` is `Infinity` or empty if it said nothing.
    public record Verdict(String prediction, boolean correct) {
        static Verdict exact(String prediction, String gold) {
            return new Verdict(prediction, prediction.equals(gold));
        }
    }

    private static Task numeric(String name, int records) {
        return new Task(name, Kind.NUMERIC, List.of(), ARITHMETIC_TOKENS, true, OptionalInt.of(records));
    }

    private static Task letter(String name, int records) {
        return new Task(name, Kind.LETTER, List.of(), ARITHMETIC_TOKENS, true, OptionalInt.of(records));
    }

    private static Task choice(String name, int records, String... alternatives) {
        return new Task(name, Kind.CHOICE, List.of(alternatives), COMMONSENSE_TOKENS, false, OptionalInt.of(records));
    }

    private static String[] numbered(String word, int many) {
        return IntStream.rangeClosed(1, many).mapToObj(i -> word + i).toArray(String[]::new);
    }
}
