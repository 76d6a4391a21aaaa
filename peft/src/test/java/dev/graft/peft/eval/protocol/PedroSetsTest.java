package dev.graft.peft.eval.protocol;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.graft.peft.eval.DataException;
import dev.graft.peft.eval.Protocol;
import dev.graft.peft.eval.Question;
import dev.graft.peft.eval.Response;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// PEDRO's sets, on records made by hand.
class PedroSetsTest {
    @TempDir
    Path folder;

    private List<Question> read(Protocol protocol, String name, String text) throws IOException {
        return protocol.read(Files.writeString(folder.resolve(name), text));
    }

    private static Labelled labelled(String name) {
        return Labelled.ALL.stream().filter(set -> set.name().equals("pedro/" + name)).findFirst().orElseThrow();
    }

    private static List<Response> responses(Protocol protocol, List<Question> questions, String... texts) {
        return IntStream.range(0, texts.length).mapToObj(i -> new Response(i, texts[i], protocol.judge(questions.get(i), texts[i]), 1, 1))
                .toList();
    }

    @Test
    void labelsBecomeWords() throws IOException {
        assertThat(read(labelled("sst2"), "sst.tsv", "sentence\tlabel\na \"fine film \t1\nit 's dull \t0\n")).containsExactly(
                new Question("Sentence: a \"fine film\nIs the sentiment of the sentence positive or negative?\nAnswer:",
                        List.of("positive")),
                new Question("Sentence: it 's dull\nIs the sentiment of the sentence positive or negative?\nAnswer:", List.of("negative")));
        assertThat(
                read(labelled("rte"), "rte.tsv", "index\tsentence1\tsentence2\tlabel\n0\tIt cost $5.\tIt was \\cheap.\tnot_entailment\n"))
                .containsExactly(
                        new Question(
                                "Sentence 1: It cost $5.\nSentence 2: It was \\cheap.\nDoes sentence 1 entail sentence 2, yes or no?\nAnswer:",
                                List.of("no")));
        assertThat(read(labelled("qnli"), "qnli.tsv", "index\tquestion\tsentence\tlabel\n0\tWho?\tAnn did.\tentailment\n").getFirst()
                .answers())
                .containsExactly("yes");
        assertThat(
                read(labelled("boolq"), "boolq.jsonl", "{\"question\": \"is it\", \"passage\": \"It is.\", \"idx\": 0, \"label\": true}\n"))
                .containsExactly(new Question("Document: It is.\nQuestion: is it?\nAnswer:", List.of("yes")));
        assertThat(read(labelled("copa"), "copa.jsonl",
                "{\"premise\": \"It rained.\", \"choice1\": \"a\", \"choice2\": \"b\", \"question\": \"effect\", \"label\": 1, \"idx\": 0}\n"))
                .containsExactly(new Question(
                        "Premise: It rained.\nChoice 1: a\nChoice 2: b\nWhich choice is the effect of the premise, 1 or 2?\nAnswer:",
                        List.of("2")));
        assertThatThrownBy(() -> read(labelled("sst2"), "test.tsv", "index\tsentence\n0\tgood\n")).isInstanceOf(DataException.class)
                .hasMessageContaining("record 0 has no column 'label'");
        assertThatThrownBy(() -> read(labelled("sst2"), "bad.tsv", "sentence\tlabel\ngood\t7\n"))
                .hasMessageContaining("label of record 0 is '7'; it must be one of [0, 1]");
    }

    @Test
    void aWordIsMatchedAsTheFirstLine() {
        Question question = new Question("", List.of("yes"));
        assertThat(List.of(" yes", " Yes.", "yes\nno")).allMatch(text -> labelled("rte").judge(question, text).correct());
        assertThat(List.of("yesterday", "no", "", "not yes")).noneMatch(text -> labelled("rte").judge(question, text).correct());
        assertThat(labelled("rte").decoding().beams()).isEqualTo(3);
    }

    @Test
    void spansAreAskedAboutTheirText() throws IOException {
        List<Question> squad = read(Reading.SQUAD, "dev-v1.1.json", """
                {"version": "1.1", "data": [{"title": "T", "paragraphs": [{"context": "Ann was here. Bo too.", "qas": [
                  {"id": "1", "question": "Who?", "answers": [{"text": "Ann", "answer_start": 0}, {"text": "Ann was"}]},
                  {"id": "2", "question": "Who else?", "answers": [{"text": "the Bo Lee"}]}]}]}]}""");
        assertThat(squad).containsExactly(
                new Question("Context: Ann was here. Bo too.\nQuestion: Who?\nAnswer:", List.of("Ann", "Ann was")),
                new Question("Context: Ann was here. Bo too.\nQuestion: Who else?\nAnswer:", List.of("the Bo Lee")));
        List<Response> responses = responses(Reading.SQUAD, squad, " ann.\nQ", " Bo");
        assertThat(responses).extracting(r -> r.verdict().correct()).containsExactly(true, false);
        var metrics = Reading.SQUAD.metrics(squad, responses);
        assertThat(metrics.firstEntry().getKey()).isEqualTo("f1_em");
        assertThat(metrics.get("em")).isEqualTo(0.5);
        assertThat(metrics.get("f1")).isCloseTo((1 + 2 / 3.0) / 2, within(1e-12));
        assertThat(metrics.get("f1_em")).isCloseTo((0.5 + 5 / 6.0) / 2, within(1e-12));
        assertThat(read(Reading.RECORD, "val.jsonl", """
                {"source": "x", "passage": {"text": "Ann met Bo.\\n@highlight\\nBo left", "entities": []}, "idx": 0, "qas": [{"query": "@placeholder met Bo", "answers": [{"text": "Ann"}], "idx": {}}]}
                """)).containsExactly(
                new Question("Context: Ann met Bo.\nBo left\nStatement: @placeholder met Bo\nQuestion: What is @placeholder?\nAnswer:",
                        List.of("Ann")));
        assertThatThrownBy(() -> read(Reading.SQUAD, "other.json", "{\"data\": [{\"title\": \"T\"}]}"))
                .hasMessageContaining("has no field 'paragraphs'");
    }

    @Test
    void recordsOfE2eAreAskedOnceWithAllTheirReviews() throws IOException {
        List<Question> questions = read(new E2e(), "devset.csv", """
                mr,ref
                "name[A], food[B]","A is, well, B."
                name[C],C here
                "name[A], food[B]",A has B
                """);
        assertThat(questions).containsExactly(new Question("Record: name[A], food[B]\nReview:", List.of("A is, well, B.", "A has B")),
                new Question("Record: name[C]\nReview:", List.of("C here")));
        assertThat(E2e.words("It's £20, A-b.")).containsExactly("it", "'", "s", "£", "20", ",", "a", "-", "b", ".");
        List<Response> responses = responses(new E2e(), questions, " a is, well, b.", " C");
        assertThat(responses).extracting(r -> r.verdict().correct()).containsExactly(true, false);
        var metrics = new E2e().metrics(questions, responses);
        assertThat(metrics.firstEntry().getKey()).isEqualTo("bleu");
        assertThat(metrics.get("bleu")).as("eight of eight words, for nine").isCloseTo(Math.exp(1 - 9 / 8.0), within(1e-12));
        assertThat(metrics.get("rouge_l")).isCloseTo((1 + 2.44 * 0.5 / (0.5 + 1.44)) / 2, within(1e-12));
    }

    @Test
    void subjectsAreAFileEach() throws IOException {
        Files.writeString(folder.resolve("abstract_algebra_test.csv"), "\"Is 1, 2?\",0,4,2,6,B\nWhat?,a,b,c,d,D\n");
        Files.writeString(folder.resolve("virology_test.csv"), "Who?,w,x,y,z,A\n");
        Files.writeString(folder.resolve("notes.txt"), "not one of them");
        List<Question> questions = new Mmlu().read(folder);
        assertThat(questions).hasSize(3);
        assertThat(questions.getFirst()).isEqualTo(new Question(
                "The following are multiple choice questions (with answers) about abstract algebra.\n\nIs 1, 2?\nA. 0\nB. 4\nC. 2\nD. 6\nAnswer:",
                List.of("B"), Map.of("group", "abstract algebra")));
        assertThat(new Mmlu().decoding().beams()).isEqualTo(3);
        List<Response> responses = responses(new Mmlu(), questions, " (B) 4", " Dog", " A.\nB");
        assertThat(responses).extracting(r -> r.verdict().prediction()).containsExactly("B", "", "A");
        assertThat(new Mmlu().metrics(questions, responses)).containsExactly(Map.entry("accuracy", 2 / 3.0), Map.entry("by_group", 0.75));
        Files.writeString(folder.resolve("law_test.csv"), "Who?,w,x,y,A\n");
        assertThatThrownBy(() -> new Mmlu().read(folder)).isInstanceOf(DataException.class)
                .hasMessageContainingAll("law_test.csv", "record 0 must be question, four options and A, B, C or D");
        assertThatThrownBy(() -> new Mmlu().read(folder.resolve("law_test.csv")))
                .hasMessageContaining("is no folder; MMLU's questions are");
    }

    @Test
    void tasksAreAFileEach() throws IOException {
        Files.writeString(folder.resolve("navigate.json"),
                "{\"canary\": \"x\", \"examples\": [{\"input\": \"Back?\\nOptions:\\n- Yes\\n- No\", \"target\": \"No\"}, {\"input\": \"b\", \"target\": \"Yes\"}]}");
        Files.writeString(folder.resolve("snarks.json"), "{\"examples\": [{\"input\": \"c\", \"target\": \"(A)\"}]}");
        List<Question> questions = new Bbh().read(folder);
        assertThat(questions).containsExactly(
                new Question("Q: Back?\nOptions:\n- Yes\n- No\nA:", List.of("No"), Map.of("group", "navigate")),
                new Question("Q: b\nA:", List.of("Yes"), Map.of("group", "navigate")),
                new Question("Q: c\nA:", List.of("(A)"), Map.of("group", "snarks")));
        List<Response> responses = responses(new Bbh(), questions, " no.\nQ: d", " No", " (A)");
        assertThat(new Bbh().metrics(questions, responses)).containsExactly(Map.entry("accuracy", 2 / 3.0), Map.entry("by_group", 0.75));
        Files.writeString(folder.resolve("other.json"), "{\"examples\": [{\"input\": \"c\"}]}");
        assertThatThrownBy(() -> new Bbh().read(folder)).hasMessageContainingAll("other.json", "record 0 has no field 'target'");
    }

    /// The orders are CPython's: `random.seed(42)`, `random.shuffle`.
    @Test
    void partsAreSplitByTheSizeOfTheSet() {
        List<Integer> dev = IntStream.range(0, 5).boxed().toList();
        Split<Integer> small = Split.of(IntStream.range(0, 9_999).boxed().toList(), dev);
        assertThat(small.train()).hasSize(9_999).startsWith(0, 1, 2);
        assertThat(small.dev()).containsExactly(3, 1);
        assertThat(small.test()).containsExactly(2, 4, 0);
        Split<Integer> large = Split.of(IntStream.range(0, 10_000).boxed().toList(), dev);
        assertThat(large.test()).isEqualTo(dev);
        assertThat(large.dev()).hasSize(1_000).startsWith(3771, 6672, 7261);
        assertThat(large.train()).hasSize(9_000).startsWith(1044);
        assertThat(new HashSet<>(large.train())).doesNotContainAnyElementsOf(large.dev());
        List<Question> questions = IntStream.range(0, 5).mapToObj(i -> new Question("" + i, List.of())).toList();
        assertThat(labelled("copa").asked(questions)).extracting(Question::prompt).containsExactly("2", "4", "0");
        assertThat(labelled("sst2").asked(questions)).isEqualTo(questions);
    }
}
