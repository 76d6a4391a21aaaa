package dev.graft.peft.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.graft.peft.eval.Item;
import dev.graft.peft.eval.Items;
import dev.graft.peft.tinyworld.WordProblems;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// `tinyworld`: records to train on and to test on.
class TinyWorldRecordsTest extends CommandTest {
    @TempDir
    Path folder;

    private int run(Object... args) {
        return graft(join(new Object[] {"tinyworld", "--output", folder}, args));
    }

    @Test
    void whatIsWrittenIsReadAsItWasMade() {
        assertThat(run("--train", "30", "--test", "10", "--most", "80", "--operations", "3", "--seed", "5")).as(err.toString()).isZero();
        WordProblems problems = new WordProblems(5, 80, 3);
        assertThat(Items.forTraining(folder.resolve("train.json"))).isEqualTo(problems.training(30));
        assertThat(Items.forEvaluation(folder.resolve("test.json"))).isEqualTo(problems.evaluation(10));
    }

    @Test
    void topicsAreWrittenToo() {
        assertThat(run("--kind", "topics", "--train", "5", "--test", "7")).as(err.toString()).isZero();
        assertThat(Items.forEvaluation(folder.resolve("test.json"))).hasSize(7).extracting(Item::instruction)
                .allMatch(text -> text.startsWith("What is this story about? "));
    }

    @Test
    void whatCannotBeMadeIsRefused() {
        assertThat(run("--most", "100")).isEqualTo(1);
        assertThat(err.toString()).contains("most must be from 5 to 99, got 100");
        assertThat(run("--train", "-1")).isEqualTo(1);
        assertThat(err.toString()).contains("--train and --test must be at least 0, got -1 and 200");
    }
}
