package dev.graft.peft.tinyworld;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.graft.peft.eval.Answers;
import dev.graft.peft.eval.Item;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class WordProblemsTest {
    private static final Pattern NUMBER = Pattern.compile("\\d+");
    /// The sentences of a question, read again from the outside.
    private static final Pattern SENTENCE = Pattern
            .compile("(has|finds|buys|wins|picks up|gets|gives|loses|sells|breaks|throws away) (\\d+)");

    @ParameterizedTest
    @CsvSource({"20, 2", "20, 1", "20, 3", "50, 4", "5, 2"})
    void everyAnswerIsRightAndFollowsFromTheQuestion(int most, int operations) {
        for (Item item : new WordProblems(3, most, operations).training(300)) {
            int count = 0;
            int steps = -1;
            for (MatchResult sentence : SENTENCE.matcher(item.instruction()).results().toList()) {
                int n = Integer.parseInt(sentence.group(2));
                count += switch (sentence.group(1)) {
                    case "gives", "loses", "sells", "breaks", "throws away" -> -n;
                    default -> n;
                };
                assertThat(count).isBetween(0, most);
                steps++;
            }
            assertThat(steps).isEqualTo(operations);
            assertThat(item.answer()).isEqualTo(Integer.toString(count));
            assertThat(Answers.number(item.output())).isEqualTo(count);
            assertThat(item.output()).endsWith("The answer is " + count + ".");
            assertThat(item.input()).isEmpty();
        }
    }

    @Test
    void noEvaluationProblemSharesItsNumbersOrItsQuestionWithATrainingProblem() {
        Set<List<Integer>> numbers = new HashSet<>();
        Set<String> questions = new HashSet<>();
        for (long seed = 1; seed <= 3; seed++) {
            WordProblems.standard(seed).training(5_000).forEach(item -> {
                numbers.add(signed(item));
                questions.add(normalised(item));
            });
        }
        List<Item> evaluation = WordProblems.standard(1).evaluation(1_000);
        assertThat(evaluation).hasSize(1_000).extracting(WordProblemsTest::normalised).doesNotHaveDuplicates()
                .noneMatch(questions::contains);
        assertThat(evaluation).extracting(WordProblemsTest::signed).noneMatch(numbers::contains);
        assertThat(numbers).as("training is not a few sums learnt by heart").hasSizeGreaterThan(1_000);
    }

    @Test
    void neitherGuessingNorCopyingScores() {
        List<Item> evaluation = WordProblems.standard(1).evaluation(1_000);
        Map<String, Long> answers = evaluation.stream().collect(Collectors.groupingBy(Item::answer, Collectors.counting()));
        assertThat(answers).hasSizeGreaterThanOrEqualTo(15);
        assertThat(Collections.max(answers.values())).as("right answers of whoever always says the same").isLessThan(100);
        assertThat(evaluation).allSatisfy(
                item -> assertThat(NUMBER.matcher(item.instruction()).results().map(MatchResult::group)).doesNotContain(item.answer()));
    }

    @Test
    void theSameSeedGivesTheSameProblems() {
        assertThat(WordProblems.standard(4).training(20)).isEqualTo(WordProblems.standard(4).training(20))
                .isNotEqualTo(WordProblems.standard(5).training(20));
    }

    @Test
    void settingsOutOfRangeAreNamed() {
        assertThatThrownBy(() -> new WordProblems(1, 4, 2)).hasMessageContaining("most must be from 5 to 99, got 4");
        assertThatThrownBy(() -> new WordProblems(1, 20, 0)).hasMessageContaining("operations");
    }

    private static String normalised(Item item) {
        return item.instruction().toLowerCase(java.util.Locale.ROOT).replaceAll("\\s+", " ");
    }

    private static List<Integer> signed(Item item) {
        List<Integer> numbers = new ArrayList<>();
        for (MatchResult sentence : SENTENCE.matcher(item.instruction()).results().toList()) {
            boolean fewer = sentence.group(1).matches("gives|loses|sells|breaks|throws away");
            numbers.add(Integer.parseInt(sentence.group(2)) * (fewer ? -1 : 1));
        }
        return numbers;
    }
}
