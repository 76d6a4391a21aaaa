package dev.graft.peft.train;

import static org.assertj.core.api.Assertions.assertThat;

import dev.graft.peft.train.ChildTraining.Kind;
import java.io.IOException;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// The number of threads, which never shows in a result.
class ThreadsTest {
    @TempDir
    Path folder;

    @Test
    void anyNumberOfThreadsTrainsToTheSameBits() throws IOException, InterruptedException {
        for (int threads = 1; threads <= 3; threads++)
            ChildTraining.run(folder.resolve("" + threads), Kind.WIDE, "-Dgraft.threads=" + threads);
        assertThat(folder.resolve("2/toy.safetensors")).hasSameBinaryContentAs(folder.resolve("1/toy.safetensors"));
        assertThat(folder.resolve("3/toy.safetensors")).hasSameBinaryContentAs(folder.resolve("1/toy.safetensors"));
    }
}
