package dev.graft.peft.eval;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class TaskTest {
    @Test
    void thereAreSixteenSetsOfThreeKinds() {
        assertThat(Task.ALL).hasSize(16).extracting(Task::name).doesNotHaveDuplicates();
        assertThat(Task.ALL.stream().filter(task -> task.kind() == Task.Kind.NUMERIC)).hasSize(6);
        assertThat(Task.ALL.stream().filter(task -> task.kind() == Task.Kind.LETTER)).extracting(Task::name).containsExactly("AQuA",
                "mathqa");
        assertThat(Task.ALL).allSatisfy(task -> {
            assertThat(task.maxNewTokens()).isEqualTo(task.kind() == Task.Kind.CHOICE ? 32 : 256);
            assertThat(task.keepSpecialTokens()).isEqualTo(task.kind() != Task.Kind.CHOICE);
            assertThat(task.alternatives().isEmpty()).isEqualTo(task.kind() != Task.Kind.CHOICE);
        });
        String answers = "[answer1, answer2, answer3, answer4, answer5]";
        assertThat(Task.ALL.stream().filter(task -> task.kind() == Task.Kind.CHOICE).map(task -> task.name() + task.alternatives()))
                .containsExactly("boolq[true, false]", "piqa[solution1, solution2]", "social_i_qa" + answers,
                        "hellaswag[ending1, ending2, ending3, ending4]", "winogrande[option1, option2]", "ARC-Easy" + answers,
                        "ARC-Challenge" + answers, "openbookqa" + answers);
    }

    @Test
    void anUnknownNameListsTheSets() {
        assertThatThrownBy(() -> Task.named("arc")).hasMessageContaining("no task 'arc'")
                .hasMessageContaining("ARC-Easy, ARC-Challenge");
    }

    @Test
    void aNameMayBeWrittenInCapitalsOrNot() {
        assertThat(Task.named("BoolQ")).isSameAs(Task.named("boolq"));
    }

    @Test
    void aMissingFileSaysWhereItWasLookedFor(@TempDir Path root) {
        assertThatThrownBy(() -> Task.named("AddSub").file(root)).isInstanceOf(DataException.class)
                .hasMessageContaining(root.resolve("AddSub/test.json").toString()).hasMessageContaining("test.json.gz");
    }

    @Test
    void aSetIsFoundInAnyOfItsForms(@TempDir Path root) throws Exception {
        Task task = Task.named("AddSub");
        Path folder = Files.createDirectories(root.resolve("AddSub"));
        for (String form : List.of("test.jsonl.gz", "test.jsonl", "test.json.gz", "test.json")) {
            Files.createFile(folder.resolve(form));
            assertThat(task.file(root)).as("the plainest there is").isEqualTo(folder.resolve(form));
        }
    }

    @Test
    void aChoiceNeedsAlternativesThatSaySomething() {
        assertThatThrownBy(() -> Task.choice("mine", 8, List.of())).hasMessageContaining("task mine").hasMessageContaining("has none");
        assertThatThrownBy(() -> Task.choice("mine", 8, List.of("yes", " "))).hasMessageContaining("blank");
        assertThatThrownBy(() -> Task.numeric("mine", 0, true)).hasMessageContaining("max_new_tokens must be above 0, got 0");
    }

    @Test
    void aGoldAnswerThatCanNeverBeRightIsRefused() {
        Task.named("AddSub").check("1.5", 0);
        Task.named("AQuA").check("E", 0);
        assertThatThrownBy(() -> Task.named("AddSub").check("five", 3)).hasMessageContaining("record 3").hasMessageContaining("'five'");
        for (String none : List.of("", "NaN", "Infinity", "-Infinity")) {
            assertThatThrownBy(() -> Task.named("AddSub").check(none, 0)).hasMessageContaining("'" + none + "'");
        }
        assertThatThrownBy(() -> Task.named("AQuA").check("AB", 0)).hasMessageContaining("'AB'");
        assertThatThrownBy(() -> Task.named("AQuA").check("e", 0)).hasMessageContaining("a letter from A to E");
        assertThatThrownBy(() -> Task.named("boolq").check("yes", 0)).hasMessageContaining("true, false");
    }
}
