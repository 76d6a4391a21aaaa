package dev.graft.peft.eval.protocol;

import dev.graft.peft.eval.DataException;
import dev.graft.peft.eval.Decoding;
import dev.graft.peft.eval.Protocol;
import dev.graft.peft.eval.Question;
import dev.graft.peft.eval.Response;
import dev.graft.peft.eval.Task.Verdict;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.SequencedMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/// MMLU (Hendrycks et al. 2021, arXiv:2009.03300): questions of 57 subjects with four options each, on which PEDRO (arXiv:2409.17834) evaluates what was tuned on instructions. The prompt is Hendrycks', without examples and with one blank where his program has two;
/// their program compares four letters' probabilities, here the letter is written.
///
/// ```
/// prompt      The following are multiple choice questions (with answers) about SUBJECT.↵↵QUESTION↵A. …↵B. …↵C. …↵D. …↵Answer:
/// decoding    beam search, 3 beams, one line of 5 tokens at most
/// prediction  the first A, B, C or D, where nothing but brackets and blanks is before it and no letter behind
/// by_group    the mean of the subjects' accuracies; `accuracy` is over all questions
/// ```
///
/// Files are the published ones, `test/SUBJECT_test.csv`: no line of names; question, A, B, C, D, answer.
public record Mmlu() implements Protocol {
    private static final List<String> COLUMNS = List.of("question", "A", "B", "C", "D", "answer");
    private static final Pattern LETTER = Pattern.compile("[\\s(\\[]*([ABCD])(?!\\w).*", Pattern.DOTALL);

    @Override
    public String name() {
        return "pedro/mmlu";
    }

    @Override
    public List<String> files() {
        return List.of("mmlu/test", "MMLU/test");
    }

    @Override
    public List<Question> read(Path folder) {
        List<Question> questions = new ArrayList<>();
        for (Path file : Groups.files(folder, "*_test.csv", "MMLU's questions")) {
            String subject = file.getFileName().toString().replaceFirst("_test\\.csv$", "").replace('_', ' ');
            List<List<String>> rows = Csv.rows(file);
            for (int i = 0; i < rows.size(); i++) questions.add(question(file, i, subject, rows.get(i)));
        }
        return questions;
    }

    private static Question question(Path file, int index, String subject, List<String> row) {
        if (row.size() != COLUMNS.size() || !row.getLast().matches("[ABCD]"))
            throw new DataException("%s: record %d must be question, four options and A, B, C or D; it is %s".formatted(file, index, row));
        StringBuilder prompt = new StringBuilder("The following are multiple choice questions (with answers) about %s.\n\n%s"
                .formatted(subject, row.getFirst().strip()));
        for (int i = 1; i <= 4; i++) prompt.append("\n").append(COLUMNS.get(i)).append(". ").append(row.get(i).strip());
        return new Question(prompt + "\nAnswer:", List.of(row.getLast()), Map.of(Groups.GROUP, subject));
    }

    @Override
    public Decoding decoding() {
        return Decoding.greedy(5, "\n").withBeams(3);
    }

    @Override
    public Verdict judge(Question question, String written) {
        Matcher letter = LETTER.matcher(written);
        String said = letter.matches() ? letter.group(1) : "";
        return new Verdict(said, said.equals(question.answers().getFirst()));
    }

    @Override
    public SequencedMap<String, Double> metrics(List<Question> questions, List<Response> responses) {
        SequencedMap<String, Double> metrics = Protocol.super.metrics(questions, responses);
        metrics.put("by_group", Groups.accuracy(questions, responses));
        return metrics;
    }
}
