package dev.graft.peft.eval.protocol;

import dev.graft.peft.eval.Decoding;
import dev.graft.peft.eval.Protocol;
import dev.graft.peft.eval.Question;
import dev.graft.peft.eval.Response;
import dev.graft.peft.eval.Task.Verdict;
import dev.graft.peft.io.Records;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.SequencedMap;

/// BIG-Bench Hard (Suzgun et al. 2022, arXiv:2210.09261): 23 tasks, in 27 files, that language models were worse at than people, on which PEDRO (arXiv:2409.17834) evaluates what was tuned on instructions. The prompt is Suzgun's for
/// answers without reasoning, without what it says of each task first, and without its examples.
///
/// ```
/// prompt      Q: INPUT↵A:
/// decoding    beam search, 3 beams, one line of 128 tokens at most
/// prediction  the first line, stripped, without a full stop
/// right       equal to the target, ignoring case
/// by_group    the mean of the tasks' accuracies; `accuracy` is over all questions
/// ```
///
/// Files are the published ones, `bbh/TASK.json` with `examples` of `input` and `target`.
public record Bbh() implements Protocol {
    @Override
    public String name() {
        return "pedro/bbh";
    }

    @Override
    public List<String> files() {
        return List.of("bbh", "BBH", "BIG-Bench-Hard/bbh");
    }

    @Override
    public List<Question> read(Path folder) {
        List<Question> questions = new ArrayList<>();
        for (Path file : Groups.files(folder, "*.json", "BBH's tasks")) {
            Map<String, String> task = Map.of(Groups.GROUP, file.getFileName().toString().replaceFirst("\\.json$", ""));
            Records.read(file, (index, record) -> Records.list(file, index, record, "examples")).forEach(examples -> {
                for (int i = 0; i < examples.size(); i++) {
                    questions.add(new Question("Q: " + Records.text(file, i, examples.get(i), "input", true).strip() + "\nA:",
                            List.of(Records.text(file, i, examples.get(i), "target", true).strip()), task));
                }
            });
        }
        return questions;
    }

    @Override
    public Decoding decoding() {
        return Decoding.greedy(128, "\n").withBeams(3);
    }

    @Override
    public Verdict judge(Question question, String written) {
        String said = written.lines().findFirst().orElse("").strip().replaceFirst("\\.$", "");
        return new Verdict(said, said.equalsIgnoreCase(question.answers().getFirst()));
    }

    @Override
    public SequencedMap<String, Double> metrics(List<Question> questions, List<Response> responses) {
        SequencedMap<String, Double> metrics = Protocol.super.metrics(questions, responses);
        metrics.put("by_group", Groups.accuracy(questions, responses));
        return metrics;
    }
}
