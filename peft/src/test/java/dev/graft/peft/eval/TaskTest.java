package dev.graft.peft.eval;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.junit.jupiter.api.Test;

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
        assertThatThrownBy(() -> Task.named("arc-easy")).hasMessageContaining("no task 'arc-easy'")
                .hasMessageContaining("ARC-Easy, ARC-Challenge");
    }
}
