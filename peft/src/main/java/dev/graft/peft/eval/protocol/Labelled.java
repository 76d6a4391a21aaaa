package dev.graft.peft.eval.protocol;

import dev.graft.peft.eval.DataException;
import dev.graft.peft.eval.Decoding;
import dev.graft.peft.eval.Question;
import dev.graft.peft.eval.Task.Verdict;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/// Sets of GLUE (Wang et al. 2019, arXiv:1804.07461) and SuperGLUE (arXiv:1905.00537) whose labels a model writes as words, as PEDRO (arXiv:2409.17834) and its relatives ask them: the parts of a record by name, the
/// question, and the label behind "Answer:". Their papers describe the shapes of prompts and do not quote them, so the words are ours.
///
/// ```
/// decoding    beam search, 3 beams, one line of 10 tokens at most
/// prediction  the first line, stripped, in lower case, without a full stop
/// right       equal to the label's word
/// asked       half of the set's dev where fewer than 10,000 are trained on (RTE, BoolQ, COPA), otherwise all of it; see [Split]
/// ```
///
/// Files are the published ones: GLUE's `.tsv`, SuperGLUE's `.jsonl`.
///
/// @param prompt its fields in braces
/// @param words  of labels as files spell them
/// @param halved whether half of dev is asked
public record Labelled(String name, List<String> files, String prompt, String label, Map<String, String> words,
        boolean halved) implements Parted {
    private static final Pattern FIELD = Pattern.compile("\\{(\\w+)}");
    private static final Map<String, String> ENTAILS = words("entailment", "yes", "not_entailment", "no");

    /// SST-2, RTE, QNLI, BoolQ, COPA.
    public static final List<Labelled> ALL = List.of(
            new Labelled("pedro/sst2", List.of("SST-2/dev.tsv", "sst2/dev.tsv"),
                    "Sentence: {sentence}\nIs the sentiment of the sentence positive or negative?\nAnswer:", "label",
                    words("0", "negative", "1", "positive"),
                    false),
            new Labelled("pedro/rte", List.of("RTE/dev.tsv", "rte/dev.tsv"),
                    "Sentence 1: {sentence1}\nSentence 2: {sentence2}\nDoes sentence 1 entail sentence 2, yes or no?\nAnswer:", "label",
                    ENTAILS, true),
            new Labelled("pedro/qnli", List.of("QNLI/dev.tsv", "qnli/dev.tsv"),
                    "Question: {question}\nSentence: {sentence}\nDoes the sentence contain the answer to the question, yes or no?\nAnswer:",
                    "label", ENTAILS,
                    false),
            new Labelled("pedro/boolq", List.of("BoolQ/val.jsonl", "boolq/val.jsonl"),
                    "Document: {passage}\nQuestion: {question}?\nAnswer:", "label",
                    words("true", "yes", "false", "no"), true),
            new Labelled("pedro/copa", List.of("COPA/val.jsonl", "copa/val.jsonl"),
                    "Premise: {premise}\nChoice 1: {choice1}\nChoice 2: {choice2}\nWhich choice is the {question} of the premise, 1 or 2?\nAnswer:",
                    "label",
                    words("0", "1", "1", "2"), true));

    private static Map<String, String> words(String one, String said, String other, String otherSaid) {
        Map<String, String> words = new LinkedHashMap<>();
        words.put(one, said);
        words.put(other, otherSaid);
        return words;
    }

    @Override
    public List<Question> read(Path file) {
        List<Question> questions = new ArrayList<>();
        for (Map<String, String> row : Rows.read(file)) {
            int index = questions.size();
            String text = FIELD.matcher(prompt)
                    .replaceAll(field -> Matcher.quoteReplacement(Csv.field(file, index, row, field.group(1)).strip()));
            String said = Csv.field(file, index, row, label);
            String word = words.get(said);
            if (word == null) {
                throw new DataException(
                        "%s: the label of record %d is '%s'; it must be one of %s".formatted(file, index, said, words.keySet()));
            }
            questions.add(new Question(text, List.of(word)));
        }
        return questions;
    }

    @Override
    public List<Question> asked(List<Question> all) {
        return halved ? Split.halves(all).getLast() : all;
    }

    @Override
    public Decoding decoding() {
        return Decoding.greedy(10, "\n").withBeams(3);
    }

    @Override
    public Verdict judge(Question question, String written) {
        String said = written.lines().findFirst().orElse("").strip().toLowerCase(Locale.ROOT).replaceFirst("\\.$", "");
        return new Verdict(said, said.equals(question.answers().getFirst()));
    }
}
