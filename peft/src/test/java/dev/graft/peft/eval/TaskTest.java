package dev.graft.peft.eval;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.file.Path;
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
        assertThat(Task.named("ARC-Easy").alternatives()).containsExactly("answer1", "answer2", "answer3", "answer4", "answer5");
        assertThat(Task.named("hellaswag").alternatives()).hasSize(4);
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
    void aGoldAnswerThatCanNeverBeRightIsRefused() {
        Task.named("AddSub").check("1.5", 0);
        Task.named("AQuA").check("E", 0);
        assertThatThrownBy(() -> Task.named("AddSub").check("five", 3)).hasMessageContaining("record 3").hasMessageContaining("'five'");
        assertThatThrownBy(() -> Task.named("AQuA").check("e", 0)).hasMessageContaining("a letter from A to E");
        assertThatThrownBy(() -> Task.named("boolq").check("yes", 0)).hasMessageContaining("true, false");
    }
}
