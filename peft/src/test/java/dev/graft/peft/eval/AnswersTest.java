package dev.graft.peft.eval;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.graft.models.SharedFolder;
import dev.graft.peft.eval.Answers.LetterRule;
import java.util.List;
import org.junit.jupiter.api.Test;

class AnswersTest {
    private static final List<String> SOLUTIONS = List.of("solution1", "solution2");

    @Test
    void allReferenceCasesAreReadTheSame() throws Exception {
        JsonNode cases = new ObjectMapper().readTree(SharedFolder.path("data/llm-adapters/golden/answer_extraction_cases.json").toFile());
        assertThat(cases.get("tolerance").asDouble()).isEqualTo(Answers.TOLERANCE);
        int read = 0;
        for (JsonNode c : cases.get("numeric")) {
            assertThat(Double.toString(Answers.number(c.get("text").asText()))).as(c.toString()).isEqualTo(c.get("value").asText());
            read++;
        }
        for (JsonNode c : cases.get("letter")) {
            assertThat(Answers.letter(c.get("text").asText(), LetterRule.FIRST)).as(c.toString()).isEqualTo(c.get("letter").asText());
            read++;
        }
        for (JsonNode c : cases.get("choice")) {
            Task task = Task.named(c.get("dataset").asText());
            assertThat(Answers.choice(c.get("text").asText(), task.alternatives())).as(c.toString())
                    .isEqualTo(c.get("prediction").asText());
            read++;
        }
        assertThat(read).isEqualTo(47);
    }

    @Test
    void theLastNumberCountsWithItsMinusAndWithoutCommas() {
        assertThat(Answers.number("first 3, then 1,234.50")).isEqualTo(1234.5);
        assertThat(Answers.number("10-5")).isEqualTo(-5);
        assertThat(Answers.number("3/4 or .5")).isEqualTo(5);
        assertThat(Answers.number("1e5")).isEqualTo(5);
        assertThat(Answers.number("The answer is 7.</s>")).isEqualTo(7);
        assertThat(Answers.number("none")).isEqualTo(Double.POSITIVE_INFINITY);
        assertThat(Answers.number("")).isEqualTo(Double.POSITIVE_INFINITY);
    }

    @Test
    void theFirstOrTheLastCapitalCounts() {
        assertThat(Answers.letter("Because of this, (E)", LetterRule.FIRST)).isEqualTo("B");
        assertThat(Answers.letter("Because of this, (E)", LetterRule.LAST)).isEqualTo("E");
        assertThat(Answers.letter("none of them", LetterRule.LAST)).isEmpty();
    }

    @Test
    void theFirstAlternativeInTheTextCounts() {
        assertThat(Answers.choice("either solution2 or solution1", SOLUTIONS)).isEqualTo("solution2");
        assertThat(Answers.choice("solution1, not solution2", SOLUTIONS)).isEqualTo("solution1");
        assertThat(Answers.choice("answer10", List.of("answer1", "answer10"))).as("of two at one place the earlier").isEqualTo("answer1");
        assertThat(Answers.choice("answer10", List.of("answer10", "answer1"))).isEqualTo("answer10");
        assertThat(Answers.choice("it is untrue", Task.named("boolq").alternatives())).isEqualTo("true");
        assertThat(Answers.choice("Solution1", SOLUTIONS)).isEmpty();
    }

    @Test
    void aWordIsRightIfItIsTheAnswerAndNotOnlyBeginsWithIt() {
        Task task = Task.choice("many", 8, List.of("answer10", "answer1"));
        assertThat(task.judge("answer10", "answer1", LetterRule.FIRST)).isEqualTo(new Task.Verdict("answer10", false));
        assertThat(task.judge("answer1", "answer1", LetterRule.FIRST)).isEqualTo(new Task.Verdict("answer1", true));
    }

    @Test
    void aNumberIsRightWithinAThousandth() {
        Task task = Task.named("AddSub");
        assertThat(task.judge("so 5.0009", "5", LetterRule.FIRST)).isEqualTo(new Task.Verdict("5.0009", true));
        assertThat(task.judge("so 5.0011", "5.0", LetterRule.FIRST).correct()).isFalse();
        assertThat(task.judge("0", "0.001", LetterRule.FIRST).correct()).as("a thousandth is within").isTrue();
        assertThat(task.judge("", "5.0", LetterRule.FIRST)).isEqualTo(new Task.Verdict("Infinity", false));
        assertThatThrownBy(() -> task.judge("5", "five", LetterRule.FIRST)).isInstanceOf(DataException.class)
                .hasMessageContaining("'five'");
    }
}
