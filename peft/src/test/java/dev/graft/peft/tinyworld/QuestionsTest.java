package dev.graft.peft.tinyworld;

import static org.assertj.core.api.Assertions.assertThat;

import dev.graft.peft.eval.Answers;
import dev.graft.peft.eval.Item;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;

/// [Questions] and [Topics].
class QuestionsTest {
    private static final Pattern COUNT = Pattern
            .compile("(has|finds|buys|wins|picks up|gets|gives|loses|sells|breaks|throws away) (\\d+)");

    @Test
    void eachAsksAboutOneChangeAndIsAnsweredRightInOneOfFiveWays() {
        Map<String, Long> ways = new Questions(3).training().limit(2_000).map(QuestionsTest::way)
                .collect(Collectors.groupingBy(w -> w, Collectors.counting()));
        assertThat(ways).hasSize(5).allSatisfy((_, n) -> assertThat(n).isBetween(300L, 500L));
    }

    /// The form of an answer, its numbers left out.
    private static String way(String text) {
        int at = Math.max(text.indexOf("Answer: ") + "Answer: ".length(), text.indexOf("### Response:\n") + "### Response:\n".length());
        String question = text.substring(0, at), answer = text.substring(at);
        List<MatchResult> counts = COUNT.matcher(question).results().toList();
        assertThat(counts).as(text).hasSize(2);
        int after = counts.stream().mapToInt(m -> Integer.parseInt(m.group(2))
                * (m.group(1).matches("gives|loses|sells|breaks|throws away") ? -1 : 1)).sum();
        assertThat(Answers.number(answer)).as(text).isEqualTo(after);
        return answer.replaceAll("\\d+", "n").replaceAll("[A-Z][a-z]+ has n .*", "X has n.").replace('-', '+');
    }

    @Test
    void topicsAreBalancedAndNoStoryToTestOnIsOneToTrainOn() {
        Set<String> training = new HashSet<>();
        for (long seed = 1; seed <= 3; seed++) new Topics(seed).training(3_000).forEach(item -> training.add(item.instruction()));
        List<Item> evaluation = new Topics(1).evaluation(300);
        assertThat(evaluation).hasSize(300).noneMatch(item -> training.contains(item.instruction())).doesNotHaveDuplicates();
        assertThat(evaluation.stream().collect(Collectors.groupingBy(Item::answer, Collectors.counting())))
                .containsOnlyKeys(Topics.ALL).allSatisfy((_, n) -> assertThat(n).isBetween(40L, 80L));
        assertThat(evaluation).allMatch(item -> item.output().equals(item.answer()));
    }
}
