package dev.graft.peft.eval;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.graft.peft.io.Records;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;

/// Reads records from `.json` (an array of objects) and `.jsonl` (an object per line), either gzipped (`.json.gz`, `.jsonl.gz`).
///
/// Fields are `instruction`, `input`, `output` and `answer`, all text; to train on, also one of `original` (the response that `output` was edited from) and `weights` (a number per token of
/// `output`), and `task`, a number, for an adapter of several; others are passed over. GSM8K's own files, with `question` and a
/// worked `answer` that ends in "#### N", are read as well: their calculator notes are dropped and the last line becomes "The answer is N.".
public final class Items {
    private static final Set<String> FOR_TRAINING = Set.of("instruction", "output");
    private static final Set<String> FOR_EVALUATION = Set.of("instruction", "answer");

    private static final String GSM8K_ANSWER = "#### ";

    private Items() {}

    /// Records to train on: `instruction` and `output` are required.
    public static List<Item> forTraining(Path file) {
        return read(file, FOR_TRAINING);
    }

    /// Records to evaluate on: `instruction` and `answer` are required.
    public static List<Item> forEvaluation(Path file) {
        return read(file, FOR_EVALUATION);
    }

    /// Writes them as an array of objects, fields as LLM-Adapters' files have them.
    public static void write(Path file, List<Item> items) {
        try {
            new ObjectMapper().writerWithDefaultPrettyPrinter().writeValue(file.toFile(), items.stream().map(Item::toJson).toList());
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static List<Item> read(Path file, Set<String> required) {
        return Records.read(file, (index, record) -> item(file, index, record, required));
    }

    private static Item item(Path file, int index, JsonNode record, Set<String> required) {
        if (record.has("question") && !record.has("instruction")) {
            String answer = Records.text(file, index, record, "answer", true);
            if (answer.contains(GSM8K_ANSWER)) return gsm8k(Records.text(file, index, record, "question", true), answer);
        }
        return new Item(Records.text(file, index, record, "instruction", required.contains("instruction")),
                Records.text(file, index, record, "input", false),
                Records.text(file, index, record, "output", required.contains("output")),
                Records.text(file, index, record, "answer", required.contains("answer")), feedback(file, index, record),
                task(file, index, record));
    }

    private static int task(Path file, int index, JsonNode record) {
        JsonNode task = record.path("task");
        if (task.isMissingNode() || task.isNull()) return -1;
        if (task.isInt() && task.intValue() >= 0) return task.intValue();
        throw new DataException("%s: field 'task' of record %d is %s; it must be a whole number, 0 or above".formatted(file, index,
                Records.shortened(task)));
    }

    private static Feedback feedback(Path file, int index, JsonNode record) {
        String original = Records.text(file, index, record, "original", false);
        JsonNode weights = record.path("weights");
        if (weights.isMissingNode() || weights.isNull()) return record.hasNonNull("original") ? new Feedback.Edited(original) : null;
        if (record.hasNonNull("original"))
            throw new DataException(
                    "%s: record %d has 'original' and 'weights'; the first says what the second says, give one".formatted(file, index));
        List<Float> numbers = new ArrayList<>();
        if (weights.isArray()) weights.forEach(n -> numbers.add(n.isNumber() ? n.floatValue() : Float.NaN));
        if (!weights.isArray() || numbers.stream().anyMatch(n -> !Float.isFinite(n))) {
            throw new DataException(
                    "%s: field 'weights' of record %d is %s; it must be a list of numbers, one per token of 'output'".formatted(file,
                            index, Records.shortened(weights)));
        }
        return new Feedback.Weighted(numbers);
    }

    private static Item gsm8k(String question, String worked) {
        String solution = worked.replaceAll("<<[^>]*>>", "");
        int last = solution.lastIndexOf(GSM8K_ANSWER);
        String shown = solution.substring(last + GSM8K_ANSWER.length()).strip();
        String number = shown.replace(",", "");
        return new Item(question, "", solution.substring(0, last) + "The answer is " + shown + ".",
                number.contains(".") ? number : number + ".0");
    }
}
