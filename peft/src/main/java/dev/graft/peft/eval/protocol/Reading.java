package dev.graft.peft.eval.protocol;

import com.fasterxml.jackson.databind.JsonNode;
import dev.graft.peft.eval.Decoding;
import dev.graft.peft.eval.Question;
import dev.graft.peft.eval.Response;
import dev.graft.peft.eval.Task.Verdict;
import dev.graft.peft.io.Records;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.SequencedMap;
import java.util.function.ToDoubleFunction;

/// Questions about a text, answered by a part of it: SQuAD 1.1 (Rajpurkar et al. 2016, arXiv:1606.05250) and ReCoRD (Zhang et al. 2018, arXiv:1810.12885), as PEDRO (arXiv:2409.17834) and its relatives ask them. Context,
/// question, and the answer follows; the words around are ours.
///
/// ```
/// decoding    beam search, 3 beams, one line of 32 tokens at most
/// prediction  the first line, stripped
/// f1_em       the mean of f1 and em over all, as [SpanMatch] has them
/// ```
///
/// Files are the published ones: SQuAD's `dev-v1.1.json`, SuperGLUE's `ReCoRD/val.jsonl`, whose marks `@highlight` become line breaks.
/// @param articles whether a file is one object of articles, as SQuAD's, not a line per text
public record Reading(String name, List<String> files, boolean articles) implements Parted {
    public static final Reading SQUAD = new Reading("pedro/squad", List.of("SQuAD/dev-v1.1.json", "squad/dev-v1.1.json"), true);
    public static final Reading RECORD = new Reading("pedro/record", List.of("ReCoRD/val.jsonl", "record/val.jsonl"), false);

    private static List<Question> squad(Path file, int index, JsonNode record) {
        List<Question> questions = new ArrayList<>();
        for (JsonNode article : Records.list(file, index, record, "data")) {
            for (JsonNode paragraph : Records.list(file, index, article, "paragraphs")) {
                String context = Records.text(file, index, paragraph, "context", true);
                for (JsonNode asked : Records.list(file, index, paragraph, "qas")) {
                    questions.add(question(context, "Question: " + Records.text(file, index, asked, "question", true),
                            answers(file, index, asked)));
                }
            }
        }
        return questions;
    }

    private static List<Question> record(Path file, int index, JsonNode record) {
        String text = Records.text(file, index, record.path("passage"), "text", true).replaceAll("\\s*@highlight\\s*", "\n");
        List<Question> questions = new ArrayList<>();
        for (JsonNode asked : Records.list(file, index, record, "qas")) {
            questions.add(
                    question(text, "Statement: " + Records.text(file, index, asked, "query", true) + "\nQuestion: What is @placeholder?",
                            answers(file, index, asked)));
        }
        return questions;
    }

    private static Question question(String context, String asked, List<String> answers) {
        return new Question("Context: " + context.strip() + "\n" + asked.strip() + "\nAnswer:", answers);
    }

    private static List<String> answers(Path file, int index, JsonNode asked) {
        List<String> answers = new ArrayList<>();
        Records.list(file, index, asked, "answers").forEach(answer -> answers.add(Records.text(file, index, answer, "text", true)));
        return answers;
    }

    @Override
    public List<Question> read(Path file) {
        return Records.read(file, (index, record) -> articles ? squad(file, index, record) : record(file, index, record)).stream()
                .flatMap(List::stream).toList();
    }

    @Override
    public Decoding decoding() {
        return Decoding.greedy(32, "\n").withBeams(3);
    }

    @Override
    public Verdict judge(Question question, String written) {
        String said = written.lines().findFirst().orElse("").strip();
        return new Verdict(said, SpanMatch.exact(said, question.answers()) == 1);
    }

    @Override
    public SequencedMap<String, Double> metrics(List<Question> questions, List<Response> responses) {
        double f1 = mean(responses, r -> SpanMatch.f1(r.verdict().prediction(), questions.get(r.index()).answers()));
        double exact = mean(responses, r -> SpanMatch.exact(r.verdict().prediction(), questions.get(r.index()).answers()));
        SequencedMap<String, Double> metrics = new LinkedHashMap<>();
        metrics.put("f1_em", (f1 + exact) / 2);
        metrics.put("f1", f1);
        metrics.put("em", exact);
        return metrics;
    }

    private static double mean(List<Response> responses, ToDoubleFunction<Response> measure) {
        return responses.stream().mapToDouble(measure).average().orElseThrow();
    }
}
