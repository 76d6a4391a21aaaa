package dev.graft.peft.eval.protocol;

import dev.graft.peft.eval.DataException;
import dev.graft.peft.eval.Decoding;
import dev.graft.peft.eval.Question;
import dev.graft.peft.eval.Response;
import dev.graft.peft.eval.Task.Verdict;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.SequencedMap;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;

/// E2E NLG (Novikova et al. 2017, arXiv:1706.09254): a restaurant's record is to become a sentence or two, as PEDRO (arXiv:2409.17834) and its relatives ask it. Reference record, then the review; the words are ours.
///
/// ```
/// decoding   beam search, 3 beams, one line of 96 tokens at most
/// bleu       [Bleu] of all against all references of each record
/// rouge_l    mean of [RougeL]
/// words      lower case; letters and digits together, every other mark alone
/// ```
///
/// Numbers of other programs differ where they split words otherwise. METEOR, which the papers also give, is left out: it is defined by tables of synonyms and paraphrases.
///
/// Files are the published ones, `testset_w_refs.csv` or `devset.csv`, with columns `mr` and `ref`; records that are the same are asked once.
public record E2e() implements Parted {
    private static final Pattern WORD = Pattern.compile("[\\p{L}\\p{N}]+|[^\\p{L}\\p{N}\\s]");

    @Override
    public String name() {
        return "pedro/e2e";
    }

    @Override
    public List<String> files() {
        return List.of("e2e/testset_w_refs.csv", "e2e/devset.csv");
    }

    @Override
    public List<Question> read(Path file) {
        SequencedMap<String, List<String>> references = new LinkedHashMap<>();
        int index = 0;
        for (Map<String, String> row : Rows.read(file)) {
            references.computeIfAbsent(Csv.field(file, index, row, "mr").strip(), _ -> new ArrayList<>())
                    .add(Csv.field(file, index, row, "ref").strip());
            index++;
        }
        return references.entrySet().stream().map(record -> new Question("Record: " + record.getKey() + "\nReview:", record.getValue()))
                .toList();
    }

    /// It has all three itself.
    @Override
    public Split<Question> parts(Path root) {
        Path test = file(root);
        if (!test.getFileName().toString().startsWith("test"))
            throw new DataException("without testset_w_refs.csv 'eval' asks %s, so nothing is left to develop on".formatted(test));
        return new Split<>(read(test.resolveSibling("trainset.csv")), read(test.resolveSibling("devset.csv")), read(test));
    }

    @Override
    public Decoding decoding() {
        return Decoding.greedy(96, "\n").withBeams(3);
    }

    /// Right is what is a reference, word for word.
    @Override
    public Verdict judge(Question question, String written) {
        String said = written.strip();
        return new Verdict(said, question.answers().stream().anyMatch(reference -> words(reference).equals(words(said))));
    }

    @Override
    public SequencedMap<String, Double> metrics(List<Question> questions, List<Response> responses) {
        List<List<String>> texts = responses.stream().map(r -> words(r.verdict().prediction())).toList();
        List<List<List<String>>> references = questions.stream().map(q -> q.answers().stream().map(E2e::words).toList()).toList();
        SequencedMap<String, Double> metrics = new LinkedHashMap<>();
        metrics.put("bleu", Bleu.of(texts, references));
        double sum = 0;
        for (int i = 0; i < texts.size(); i++) sum += RougeL.of(texts.get(i), references.get(i));
        metrics.put("rouge_l", sum / texts.size());
        return metrics;
    }

    static List<String> words(String text) {
        return WORD.matcher(text.toLowerCase(Locale.ROOT)).results().map(MatchResult::group).toList();
    }
}
