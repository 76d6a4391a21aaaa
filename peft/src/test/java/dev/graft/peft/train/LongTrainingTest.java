package dev.graft.peft.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.graft.peft.train.ChildTraining.Kind;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// Memory over thousands of steps, in a process of its own.
class LongTrainingTest {
    @TempDir
    Path folder;

    @Test
    void memoryIsFlatOverAThousandSteps() throws IOException, InterruptedException {
        requireFlat(Kind.LONG, 48);
    }

    @Test
    @Tag("full")
    void memoryIsFlatOverTenThousandSteps() throws IOException, InterruptedException {
        requireFlat(Kind.LONGEST, 12);
    }

    /// @param slackMb for what the JIT still compiles after the first half: on a busy machine much of it is left after five hundred steps, little after
    ///                five thousand; the books of the pool allow nothing
    private void requireFlat(Kind kind, int slackMb) throws IOException, InterruptedException {
        assumeTrue(Files.isReadable(Path.of("/proc/self/status")),
                "resident memory is read from /proc/self/status, which this system has not");
        List<long[]> marks = ChildTraining.run(folder, kind).stream().filter(l -> l.startsWith("memory "))
                .map(l -> List.of(l.split(" ")).stream().skip(1).mapToLong(Long::parseLong).toArray()).toList();
        assertThat(marks).hasSize(20);
        long[] warm = marks.get(9);
        for (long[] mark : marks.subList(10, 20)) {
            assertThat(mark[0]).as("bytes that tensors hold").isEqualTo(warm[0]);
            assertThat(mark[1]).as("bytes of the pool").isEqualTo(warm[1]);
            assertThat(mark[2]).as("blocks asked of the system").isEqualTo(warm[2]);
            assertThat(mark[3]).as("resident kilobytes, some for code that the JIT still adds").isLessThan(warm[3] + slackMb * 1024L);
        }
    }
}
