package dev.graft.peft.train;

import static org.assertj.core.api.Assertions.assertThat;

import dev.graft.peft.train.ChildTraining.Kind;
import dev.graft.peft.train.ChildTraining.Signal;
import dev.graft.tensor.op.Random;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.RepeatedTest;
import org.junit.jupiter.api.RepetitionInfo;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// `kill -9` in the middle of training, several times, then on to the end: the result is bit for bit that of the run nobody killed.
class KilledTrainingTest {
    private static final int STEPS = Kind.SMALL.config.steps();

    @TempDir
    Path folder;

    @Test
    void killedRunsGoOnToTheSameBits() throws IOException, InterruptedException {
        requireSameBits(1);
    }

    @RepeatedTest(3)
    @Tag("full")
    void killedRunsGoOnToTheSameBitsWhereverTheyAreCut(RepetitionInfo repetition) throws IOException, InterruptedException {
        requireSameBits(1 + repetition.getCurrentRepetition());
    }

    @Test
    void terminatedRunsEndTheirStepWithACheckpoint() throws IOException, InterruptedException {
        List<String> said = ChildTraining.run(folder, Kind.SMALL, List.of(), Signal.TERM, line -> line.equals("step 7"));
        List<String> steps = said.stream().filter(l -> l.startsWith("step ")).toList();
        assertThat(steps).hasSizeBetween(7, STEPS - 1);
        assertThat(said.getLast()).isEqualTo(steps.getLast().replace("step", "saved"));
        assertThat(ChildTraining.run(folder, Kind.SMALL)).contains("step " + (steps.size() + 1)).doesNotContain(steps.getLast());
    }

    private void requireSameBits(long seed) throws IOException, InterruptedException {
        Path whole = folder.resolve("whole");
        ChildTraining.run(whole, Kind.SMALL);
        Path killed = folder.resolve("killed");
        int kills = 0;
        for (int life = 0; life < 4; life++) {
            // After some steps of this life, and then some microseconds more: in a step, in a validation, in the middle of a checkpoint.
            long[] left = {1 + Math.floorMod(Random.bits(seed, life), 9L)};
            long wait = Math.floorMod(Random.bits(seed, 100 + life), 15_000_000L);
            List<String> said = ChildTraining.run(killed, Kind.SMALL, List.of(), Signal.KILL, line -> {
                if (!line.startsWith("step ") || --left[0] > 0) return false;
                long until = System.nanoTime() + wait;
                while (System.nanoTime() < until) Thread.onSpinWait();
                return true;
            });
            if (!said.getLast().equals("saved " + STEPS)) kills++;
        }
        assertThat(kills).as("runs cut off").isGreaterThanOrEqualTo(3);
        ChildTraining.run(killed, Kind.SMALL);
        assertThat(killed.resolve("toy.safetensors")).hasSameBinaryContentAs(whole.resolve("toy.safetensors"));
        assertThat(Files.exists(killed.resolve("checkpoint-" + STEPS))).isTrue();
    }
}
